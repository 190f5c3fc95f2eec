"""A C bundle's firmware on an emulated chip, beside edgekit's arithmetic; whole sets on the host.

A firmware, its bundle's model and samples enter; an `Emulation` leaves, as for any other target. A
few samples run on the chip; all of them through the same sources compiled for this computer. Both
must give edgekit's bits. Where the chip does not, its arena is looked at after every layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edgekit.emulate import host_program
from edgekit.emulate.agreement import Batch, count
from edgekit.emulate.chip.chip_run import chip_run
from edgekit.emulate.chip.firmware import EngineName, Firmware, chip_for, default_engine
from edgekit.emulate.chip.inference import Inference, Inferences
from edgekit.emulate.compare import Outcome, ranks
from edgekit.emulate.difference import Difference
from edgekit.emulate.emulation import Emulation, Model
from edgekit.emulate.samples import Sample, Values, each, reference_outputs
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.progress import Progress, silent


@dataclass(frozen=True)
class ChipEngine:
    """An emulator as outcomes name it."""

    value: str
    title: str


def emulate(
    model: Model,
    firmware: Firmware,
    engine: EngineName | None,
    first: Sequence[Values],
    batches: Iterable[Batch],
    total: int,
    progress: Progress = silent,
) -> Emulation:
    """Run a C bundle's firmware.

    Args:
        model: what the bundle holds.
        firmware: made from its sources.
        engine: who emulates; see `chip_for`.
        first: stacked samples to run on the chip.
        batches: all samples, to run on this computer.
        total: how many those are.
        progress: told the samples done.

    Raises:
        MissingToolError: an emulator or compiler is not installed.
        UnsupportedError: no emulator has the core or board.
        ChipFaultError: the chip refused what the firmware did.
    """
    graph = model.graph
    chip = chip_for(firmware, engine)
    named = ChipEngine(
        engine or default_engine(firmware.board) or "", f"emulated {firmware.board.core}"
    )
    ending = chip.boot()
    seen = _Seen(firmware.graph, Inferences(chip, firmware))
    for done, sample in enumerate(each(first), start=1):
        seen.add(sample)
        progress("run on the chip", done, len(first[0]))
    golden = reference_outputs(graph, model.golden_inputs)
    with host_program.start(firmware.sources, graph, firmware.memory) as host:
        agreed = count(
            partial(reference_outputs, graph),
            host,
            batches,
            total,
            "run on this computer",
            progress,
        )
    return Emulation(
        firmware.graph,
        named,
        Difference.total(map(Difference.between, golden, model.golden_outputs)),
        Outcome(named, chip.title, tuple(seen.layers), tuple(seen.outputs), seen.top1_flips),
        seen.layer_samples,
        agreed,
        arena=None,
        chip=chip_run(firmware, chip.title, seen.inferences, ending),
    )


class _Seen:
    """What the chip has shown so far."""

    def __init__(self, graph: Graph, runs: Inferences) -> None:
        self._graph = graph
        self._runs = runs
        self.inferences: list[Inference] = []
        self.layers: list[Difference | None] = [None] * len(graph.nodes)
        self.layer_samples = 0
        self.outputs = [Difference()] * len(graph.outputs)
        self.top1_flips = 0 if ranks(graph) else None

    def add(self, sample: Sample) -> None:
        """Run a sample; layer by layer if it is the first one, or the first to differ."""
        values: dict[str, Values] = {}
        ours = run(self._graph, sample, values.__setitem__)
        found = self._runs.run(sample)
        apart = [*map(Difference.between, ours, found.outputs)]
        is_first_to_differ = Difference.total(apart).differing and not self._differs
        self.inferences.append(found)
        self.outputs = [before + one for before, one in zip(self.outputs, apart, strict=True)]
        if self.top1_flips is not None:
            self.top1_flips += int(ours[0].argmax() != found.outputs[0].argmax())
        if self.layer_samples == 0 or is_first_to_differ:
            self._look_inside(sample, values)

    @property
    def _differs(self) -> bool:
        return any(layer and layer.differing for layer in self.layers)

    def _look_inside(self, sample: Sample, ours: Mapping[str, Values]) -> None:
        self.layer_samples += 1
        for index, written in self._runs.activations(sample):
            apart = (Difference.between(ours[name], value) for name, value in written.items())
            self.layers[index] = Difference.total([self.layers[index] or Difference(), *apart])
