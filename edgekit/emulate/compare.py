"""One model under several engines, layer by layer against edgekit's own arithmetic.

A graph, the file it was read from and samples enter; an `Outcome` an engine leaves. Two ways of
looking: each engine runs the whole file, so that differences add up along the network as they do on
a device; or each layer alone is fed what edgekit's arithmetic feeds it (`isolated`), which tells
which kernel makes them. An engine that is missing, refuses the model or dies over it is reported as
not run; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from edgekit.convert.tflite_writer import write
from edgekit.emulate.difference import Difference
from edgekit.emulate.engine import Engine, Session, start
from edgekit.emulate.isolated import layers_apart
from edgekit.emulate.samples import Sample, Values, each
from edgekit.errors import EdgekitError, InputError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Dequantize
from edgekit.progress import Progress, silent


class Named(Protocol):
    """What an engine is called: on the command line, and for people."""

    @property
    def value(self) -> str:
        """For scripts."""

    @property
    def title(self) -> str:
        """For people."""


@dataclass(frozen=True)
class Outcome:
    """One engine against edgekit's arithmetic.

    Attributes:
        engine: which.
        version: of its package; empty if it did not run.
        layers: one a node of the graph; None where the engine did not store the value.
        outputs: one a graph output (isolated: none).
        top1_flips: samples whose largest output is another one; None where that means nothing.
        error: why it did not run, if it did not.
    """

    engine: Named
    version: str = ""
    layers: tuple[Difference | None, ...] = ()
    outputs: tuple[Difference, ...] = ()
    top1_flips: int | None = None
    error: EdgekitError | None = None

    @property
    def first_difference(self) -> int | None:
        """The index of the first layer that differs; None if none does."""
        found = (i for i, layer in enumerate(self.layers) if layer and layer.differing)
        return next(found, None)

    @property
    def is_exact(self) -> bool:
        """Whether it ran and nothing differs, in no layer and at no output."""
        return (
            self.error is None
            and self.first_difference is None
            and not Difference.total(self.outputs).differing
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        if self.error is not None:
            cure = self.error.hint
            name = {"engine": self.engine.value, "title": self.engine.title}
            return {**name, "not_run": str(self.error), "cure": cure}
        return {
            "engine": self.engine.value,
            "title": self.engine.title,
            "version": self.version,
            "exact": self.is_exact,
            "first_difference": self.first_difference,
            "layers": [layer and layer.to_json() for layer in self.layers],
            "outputs": [output.to_json() for output in self.outputs],
            "top1_flips": self.top1_flips,
        }


def compare(
    graph: Graph,
    tflite: bytes,
    inputs: Sequence[Values],
    engines: Sequence[Engine],
    *,
    isolated: bool = False,
    arena_bytes: int | None = None,
    progress: Progress = silent,
) -> tuple[Outcome, ...]:
    """Compare engines with edgekit's arithmetic on every sample.

    Args:
        graph: what the file holds; computed by `graph.execute`.
        tflite: the file that the engines run.
        inputs: one array a model input, (n, *shape).
        engines: who runs it, in the order of the outcomes.
        isolated: feed each layer what edgekit's arithmetic gives the one before it.
        arena_bytes: TFLite Micro's arena for the whole file; None for more than enough.
        progress: told the samples done.

    Raises:
        UnsupportedError: edgekit's arithmetic does not define a layer.
    """
    alone = layers_apart(graph) if isolated else None
    model = write(alone) if alone else tflite
    count = len(inputs[0])
    with ExitStack() as stack:
        runs = [_Run(engine, graph, alone) for engine in engines]
        for one in runs:
            one.begin(stack, model, None if isolated else arena_bytes)
        for done, sample in enumerate(each(inputs), start=1):
            values: dict[str, Values] = {}
            run(graph, sample, values.__setitem__)
            for one in runs:
                one.add(sample, values)
            progress("compare layers", done, count)
    return tuple(one.outcome for one in runs)


def layers_of(graph: Graph) -> list[dict[str, Any]]:
    """The layers in the order of an outcome's, as plain values: elements are those of a sample."""
    return [
        {
            "index": index,
            "op": node.op.tflite_name,
            "name": node.name,
            "elements": sum(tensor.elements for tensor in graph.outputs_of(node)),
        }
        for index, node in enumerate(graph.nodes)
    ]


@dataclass
class _Run:
    """What one engine has shown so far."""

    engine: Engine
    graph: Graph
    alone: Graph | None
    session: Session | None = None
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        self.outcome = Outcome(
            self.engine,
            layers=(None,) * len(self.graph.nodes),
            outputs=() if self.alone else (Difference(),) * len(self.graph.outputs),
            top1_flips=0 if self.alone is None and ranks(self.graph) else None,
        )

    def begin(self, stack: ExitStack, model: bytes, arena_bytes: int | None) -> None:
        """Start the engine, or note why it does not."""
        watched = None if self.alone else self.graph
        opening = start(self.engine, model, watched=watched, arena_bytes=arena_bytes)
        try:
            self.session = stack.enter_context(opening)
        except EdgekitError as error:
            self._give_up(error)
        else:
            self.outcome = replace(self.outcome, version=self.session.version)

    def add(self, sample: Sample, values: Mapping[str, Values]) -> None:
        """Run one sample and compare it with edgekit's values."""
        if self.session is None:
            return
        fed = sample if self.alone is None else [values[name] for name in self.alone.inputs]
        try:
            outputs, seen = self.session.run(fed)
            if self.alone is not None:
                written = (name for node in self.graph.nodes for name in node.outputs)
                seen, outputs = dict(zip(written, outputs, strict=True)), []
            self._count(values, outputs, seen)
        except InputError:
            raise  # the sample's fault, not the engine's
        except EdgekitError as error:
            self._give_up(error)

    def _count(
        self, values: Mapping[str, Values], outputs: Sequence[Values], seen: Mapping[str, Values]
    ) -> None:
        ours = [_value(self.graph, values, name) for name in self.graph.outputs]
        flips = self.outcome.top1_flips
        if flips is not None:
            flips += int(ours[0].argmax() != outputs[0].argmax())
        layers = (
            _layer(node.outputs, values, seen, before)
            for node, before in zip(self.graph.nodes, self.outcome.layers, strict=True)
        )
        self.outcome = replace(
            self.outcome,
            layers=tuple(layers),
            outputs=tuple(
                before + Difference.between(mine, theirs)
                for before, mine, theirs in zip(self.outcome.outputs, ours, outputs, strict=False)
            ),
            top1_flips=flips,
        )

    def _give_up(self, error: EdgekitError) -> None:
        self.session = None
        self.outcome = Outcome(self.engine, error=error)


def ranks(graph: Graph) -> bool:
    """Whether the largest of the first output's values names a class."""
    shape = graph.tensors[graph.outputs[0]].shape
    return len(shape) > 0 and graph.tensors[graph.outputs[0]].elements == shape[-1] > 1


def is_integer(graph: Graph) -> bool:
    """Whether all is computed in integers, so that equal arithmetic gives equal bits."""
    return all(
        tensor.dtype is not DType.FLOAT32
        for node in graph.nodes
        if not isinstance(node.op, Dequantize)
        for tensor in graph.outputs_of(node)
    )


def _value(graph: Graph, values: Mapping[str, Values], name: str) -> Values:
    data = graph.tensors[name].data
    return values[name] if data is None else data


def _layer(
    names: Sequence[str],
    ours: Mapping[str, Values],
    theirs: Mapping[str, Values],
    before: Difference | None,
) -> Difference | None:
    found = [Difference.between(ours[name], theirs[name]) for name in names if name in theirs]
    return Difference.total([*found, before or Difference()]) if found else before
