"""A bundle's model run as its target would run it, and everything that must hold then.

The graph and file of a bundle, its golden vectors and samples enter; an `Emulation` leaves. What
must be equal to the bit and is not is a fault: the golden vectors of any bundle, and all that
TFLite Micro or a C program computes. That LiteRT differs is its nature, and only told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.emulate.agreement import Agreement, Batch, agreement
from edgekit.emulate.chip.chip_run import ChipRun
from edgekit.emulate.compare import Named, Outcome, compare, is_integer, layers_of, ranks
from edgekit.emulate.difference import Difference
from edgekit.emulate.engine import Engine
from edgekit.emulate.host_arena import HostArena, try_host_arena
from edgekit.emulate.samples import Values, each, reference_outputs
from edgekit.graph.ir import Graph
from edgekit.progress import Progress, silent


@dataclass(frozen=True, eq=False)
class Model:
    """What a bundle holds of its model.

    Attributes:
        graph: the integer graph, read from the file.
        tflite: the file.
        golden_inputs, golden_outputs: the golden vectors, stacked.
    """

    graph: Graph
    tflite: bytes
    golden_inputs: Sequence[Values]
    golden_outputs: Sequence[Values]


@dataclass(frozen=True, eq=False)
class Emulation:
    """What the run showed.

    Attributes:
        graph: that ran.
        engine: who ran it.
        golden: the golden vectors against edgekit's arithmetic.
        outcome: the engine against edgekit's arithmetic, layer by layer, on a few samples.
        layer_samples: how many those were.
        agreement: the same for the outputs of all samples.
        arena: the trial of the predicted arena; None but for TFLite Micro.
        chip: what an emulated chip showed besides; None but for C programs.
    """

    graph: Graph
    engine: Named
    golden: Difference
    outcome: Outcome
    layer_samples: int
    agreement: Agreement
    arena: HostArena | None
    chip: ChipRun | None = None

    @property
    def faults(self) -> tuple[str, ...]:
        """A sentence for everything that had to hold and does not."""
        return tuple(self._faults())

    def _faults(self) -> Iterator[str]:
        if self.golden.differing:
            yield (
                f"{self.golden.differing:,} of {self.golden.elements:,} values of the golden "
                "outputs are not what edgekit's arithmetic gives."
            )
        if self.chip is not None:
            yield from self.chip.faults
        elif self.engine is not Engine.TFLM:
            return
        if self.arena and not self.arena.is_enough:
            yield (
                f"The model needs an arena of {self.arena.needed_bytes:,} bytes on this host; "
                f"{self.arena.predicted_bytes:,} were predicted."
            )
        if is_integer(self.graph):
            yield from self._inexact()

    def _inexact(self) -> Iterator[str]:
        if (index := self.outcome.first_difference) is not None:
            node = self.graph.nodes[index]
            yield (
                f"{self.engine.title} differs from edgekit's arithmetic, first in layer {index}, "
                f"{node.op.tflite_name} '{node.name}'."
            )
        elif self.agreement.same_outputs < self.agreement.samples or not self.outcome.is_exact:
            wrong = self.agreement.samples - self.agreement.same_outputs
            yield (
                f"{self.engine.title}'s outputs differ from edgekit's arithmetic for {wrong:,} of "
                f"{self.agreement.samples:,} samples."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values; where the output names no class, there is no top-1."""
        agreed = self.agreement.to_json()
        if not ranks(self.graph):
            agreed["same_top1"] = None
        return {
            "engine": self.outcome.to_json(),
            "arena": self.arena.to_json() if self.arena else None,
            "chip": self.chip.to_json() if self.chip else None,
            "golden": self.golden.to_json(),
            "layers": layers_of(self.graph),
            "layer_samples": self.layer_samples,
            "agreement": agreed,
            "faults": list(self.faults),
        }


def emulate(
    model: Model,
    engine: Engine,
    first: Sequence[Values],
    batches: Iterable[Batch],
    total: int,
    progress: Progress = silent,
) -> Emulation:
    """Run a bundle's model.

    Args:
        model: what the bundle holds.
        engine: what its target runs it with.
        first: stacked samples on which to compare layer by layer.
        batches: all samples, to compare the outputs on.
        total: how many those are.
        progress: told the samples done.

    Raises:
        MissingToolError: the engine is not installed.
        UnsupportedError: it refuses the model.
    """
    graph, tflite = model.graph, model.tflite
    arena = None
    if engine is Engine.TFLM:
        arena = try_host_arena(graph, tflite, next(each(first)))
    arena_bytes = arena.predicted_bytes if arena and arena.is_enough else None
    expected = reference_outputs(graph, model.golden_inputs)
    golden = Difference.total(map(Difference.between, expected, model.golden_outputs))
    (outcome,) = compare(graph, tflite, first, [engine], arena_bytes=arena_bytes, progress=progress)
    if outcome.error is not None:
        raise outcome.error
    agreed = agreement(
        graph, tflite, engine, batches, total, arena_bytes=arena_bytes, progress=progress
    )
    return Emulation(graph, engine, golden, outcome, len(first[0]), agreed, arena)
