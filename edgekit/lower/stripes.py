"""Steps in stripes of rows: every layer computes just the new rows that the next one needs.

A program and a run of its steps enter; the calls leave that compute them stripe by stripe. Of each
tensor in between only lines are kept: the rows that a later stripe still reads, moved to the start
of their buffer, and behind them the new ones. So a kernel sees consecutive rows and no row is
computed twice. A call on a stripe is the layer's kernel with other heights: its weights and all
else stay the same objects. Source of the idea: Alwani et al. 2016, "Fused-layer CNN accelerators";
Lin et al. 2021, arXiv:2110.15352 (patches, with rows computed twice).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from edgekit.graph.ir import Graph
from edgekit.graph.ops import AveragePool2D, Conv2D, DepthwiseConv2D, MaxPool2D
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import (
    Call,
    Kernel,
    Lines,
    Loop,
    Program,
    Step,
    Stripes,
    Trail,
    Value,
)

_GEOMETRY = {"batches", "input_height", "output_height", "pad_top"}
_HEIGHT = 3  # the place of H in a padded shape (1, 1, N, H, W, C)


@dataclass(frozen=True)
class Reading:
    """Which rows of a tensor a layer reads: row y of its output needs `reach` rows from
    y * stride - before on.
    """

    name: str
    height: int
    row_bytes: int
    stride: int = 1
    before: int = 0
    reach: int = 1

    def begin(self, row: int) -> int:
        """The first row that the output's rows from `row` on read; negative is padding."""
        return row * self.stride - self.before

    def end(self, rows: int) -> int:
        """Behind the last row that the first `rows` rows of the output read."""
        return min(self.height, self.begin(rows - 1) + self.reach)


@dataclass(frozen=True, eq=False)
class Layer:
    """A step that can be computed in stripes.

    Attributes:
        readings: of the activations that are read row by row; others are read as a whole.
        height, row_bytes: of its output.
        of_rows: (input rows, output rows, rows of padding above) -> the kernel's parameters.
    """

    index: int
    step: Step
    readings: tuple[Reading, ...]
    height: int
    row_bytes: int
    of_rows: Callable[[int, int, int], dict[str, Value]]

    @property
    def kernel(self) -> Kernel:
        """Of the whole layer."""
        return self.step.kernels[0]

    @property
    def output(self) -> str:
        """The tensor that it makes."""
        return self.step.node.outputs[0]


def layer(program: Program, index: int) -> Layer | None:
    """A step as a layer of stripes; None if its kernel computes everything or nothing."""
    step, tensors = program.steps[index], program.graph.tensors
    if len(step.kernels) != 1 or len(step.node.outputs) != 1:
        return None
    kernel, output = step.kernels[0], tensors[step.node.outputs[0]]
    if len(output.shape) != 4 or output.shape[0] != 1:
        return None
    for kind in (_windows, _table, _binary):
        if found := kind(program.graph, step, kernel):
            readings, of_rows = found
            row_bytes = output.size_bytes // output.shape[1]
            return Layer(index, step, readings, output.shape[1], row_bytes, of_rows)
    return None


def are_closed(graph: Graph, layers: Sequence[Layer]) -> bool:
    """Whether only they read, and by rows, what all but the last of them make."""
    for one in layers[:-1]:
        readers = [
            other.step.node
            for other in layers
            if any(reading.name == one.output for reading in other.readings)
        ]
        if one.output in graph.outputs or tuple(readers) != graph.consumers(one.output):
            return False
        if not readers:
            return False
    return True


_Found = tuple[tuple[Reading, ...], Callable[[int, int, int], dict[str, Value]]]


def _windows(graph: Graph, step: Step, kernel: Kernel) -> _Found | None:
    op, x = step.node.op, graph.tensors[step.node.inputs[0]]
    if not kernel.parameters.keys() >= _GEOMETRY:
        return None
    match op:
        case Conv2D() | DepthwiseConv2D():
            taps, dilation = graph.tensors[step.node.inputs[1]].shape[1], op.dilation[0]
        case AveragePool2D() | MaxPool2D():
            taps, dilation = op.filter[0], 1
        case _:
            return None
    rows = Axis.of(x.shape[1], taps, op.stride[0], dilation, op.padding)
    reach = (taps - 1) * dilation + 1
    row_bytes = x.size_bytes // rows.size

    def of_rows(inputs: int, outputs: int, above: int) -> dict[str, Value]:
        heights = {"input_height": inputs, "output_height": outputs, "pad_top": above}
        return {**kernel.parameters, **heights}

    return (Reading(x.name, rows.size, row_bytes, rows.stride, rows.before, reach),), of_rows


def _table(graph: Graph, step: Step, kernel: Kernel) -> _Found | None:
    if kernel.name != "ek_lookup_8":
        return None
    x = graph.tensors[step.node.inputs[0]]
    height = x.shape[1]

    def of_rows(inputs: int, outputs: int, above: int) -> dict[str, Value]:
        return {**kernel.parameters, "elements": outputs * (x.elements // height)}

    return (Reading(x.name, height, x.size_bytes // height),), of_rows


def _binary(graph: Graph, step: Step, kernel: Kernel) -> _Found | None:
    if not {"shape", "a_strides", "b_strides"} <= kernel.parameters.keys():
        return None
    output, readings = graph.tensors[step.node.outputs[0]], []
    for operand, strides in zip(kernel.operands, ("a_strides", "b_strides"), strict=True):
        steps = kernel.parameters[strides]
        assert isinstance(steps, tuple)
        if steps[_HEIGHT] and isinstance(operand, str):
            if graph.tensors[operand].shape != output.shape:
                return None
            height = output.shape[1]
            readings.append(Reading(operand, height, output.size_bytes // height))
        elif steps[_HEIGHT]:
            return None
    shape = kernel.parameters["shape"]
    assert isinstance(shape, tuple)

    def of_rows(inputs: int, outputs: int, above: int) -> dict[str, Value]:
        return {**kernel.parameters, "shape": (*shape[:_HEIGHT], outputs, *shape[_HEIGHT + 1 :])}

    return (tuple(readings), of_rows) if readings else None


@dataclass(frozen=True, eq=False)
class Rows:
    """Which rows each layer makes in each stripe, and which of them are in memory then.

    Attributes:
        layers: consecutive; nobody else reads what is between them.
        rows: that the last one makes in a stripe.
    """

    layers: tuple[Layer, ...]
    rows: int

    @property
    def count(self) -> int:
        """How many stripes there are."""
        return -(-self.layers[-1].height // self.rows)

    @cached_property
    def readers(self) -> dict[str, list[tuple[int, Reading]]]:
        """(layer's position, reading) of all that read a tensor by rows, by its name."""
        found: dict[str, list[tuple[int, Reading]]] = {}
        for position, one in enumerate(self.layers):
            for reading in one.readings:
                found.setdefault(reading.name, []).append((position, reading))
        return found

    @cached_property
    def made(self) -> list[list[int]]:
        """For each layer: the rows that it has made before each stripe, and at last all."""
        ends: list[list[int]] = [[] for _ in self.layers]
        last = len(self.layers) - 1
        for position in range(last, -1, -1):
            one = self.layers[position]
            if position == last:
                after = [min(one.height, (s + 1) * self.rows) for s in range(self.count)]
            else:
                readers = self.readers[one.output]
                after = [
                    max(reading.end(ends[reader][s + 1]) for reader, reading in readers)
                    for s in range(self.count)
                ]
                after[-1] = one.height  # the rows that nobody reads, too
            ends[position] = [0, *after]
        return ends

    @cached_property
    def held(self) -> dict[str, list[int]]:
        """By tensor that is read by rows: the first row that each stripe still needs."""
        made = {one.output: ends for one, ends in zip(self.layers, self.made, strict=True)}
        held = {}
        for name, readers in self.readers.items():
            first = [
                max(0, min(reading.begin(self.made[reader][s]) for reader, reading in readers))
                for s in range(self.count)
            ]
            # A row that a stride skips is made all the same.
            held[name] = list(map(min, first, made[name])) if name in made else first
        return held

    @cached_property
    def lines(self) -> dict[str, Lines]:
        """Of each tensor between the layers."""
        lines = {}
        for one, made in zip(self.layers[:-1], self.made, strict=False):
            held = self.held[one.output]
            most = max(end - first for end, first in zip(made[1:], held, strict=True))
            kept = any(end > first for end, first in zip(made[1:], held[1:], strict=False))
            lines[one.output] = Lines(most * one.row_bytes, kept)
        return lines

    def distance_bytes(self, name: str) -> int:
        """How far behind the output's start an input must begin, so that no row is lost."""
        last, held, distance = self.layers[-1], self.held[name], 0
        reads = [
            reading for reader, reading in self.readers[name] if reader == len(self.layers) - 1
        ]
        row_bytes = self.readers[name][0][1].row_bytes
        for s in range(self.count):
            needed = [max(0, reading.begin(self.made[-1][s])) for reading in reads]
            needed += held[s + 1 : s + 2]
            if needed:
                end = self.made[-1][s + 1] * last.row_bytes
                distance = max(distance, end - min(needed) * row_bytes)
        return distance

    def moves(self) -> Iterator[tuple[int, int, int]]:
        """(stripe, layer's position, rows that move to their buffer's start)."""
        for position, one in enumerate(self.layers[:-1]):
            held, made = self.held[one.output], self.made[position]
            for s in range(1, self.count):
                if made[s] > held[s] > held[s - 1]:
                    yield s, position, made[s] - held[s]


def in_stripes(program: Program, parts: Sequence[Rows]) -> Program:
    """The program, some of its steps in stripes.

    Args:
        parts: in order; no step in two of them.
    """
    stripes = tuple(_Schedule(program, rows).stripes() for rows in parts)
    return replace(program, stripes=stripes)


def trail_of(program: Program, rows: Rows, lives: dict[str, int]) -> Trail | None:
    """The largest input that the stripes read for the last time, as what the output follows.

    Args:
        lives: the last step that reads each activation, counted from 1.
    """
    inner = {one.output for one in rows.layers}
    dying = [
        name
        for name in rows.readers
        if name not in inner
        and lives[name] <= rows.layers[-1].index + 1
        and name not in program.graph.outputs
    ]
    if not dying:
        return None
    name = max(dying, key=lambda name: program.graph.tensors[name].size_bytes)
    return Trail(name, rows.distance_bytes(name))


class _Schedule:
    """Attributes: `_kernels`, one for each layer and heights."""

    def __init__(self, program: Program, rows: Rows) -> None:
        self._program = program
        self._rows = rows
        self._kernels: dict[tuple[int, ...], Kernel] = {}
        self._moves = {(s, position): rows for s, position, rows in rows.moves()}

    def stripes(self) -> Stripes:
        rows, program = self._rows, self._program
        lives = {
            name: index + 1
            for index, node in enumerate(program.graph.nodes)
            for name in program.activations(node)
        }
        return Stripes(
            first=rows.layers[0].index,
            last=rows.layers[-1].index,
            rows=rows.rows,
            lines=rows.lines,
            trail=trail_of(program, rows, lives),
            loops=tuple(_loops([tuple(self._stripe(s)) for s in range(rows.count)])),
        )

    def _stripe(self, s: int) -> Iterator[Call]:
        for position, one in enumerate(self._rows.layers):
            if (s, position) in self._moves:
                yield self._move(s, position, self._moves[s, position])
            made = self._rows.made[position]
            if made[s + 1] > made[s]:
                yield self._call(s, position, one)

    def _call(self, s: int, position: int, one: Layer) -> Call:
        begin, end = self._rows.made[position][s : s + 2]
        by_name = {reading.name: reading for reading in one.readings}
        first = one.readings[0]
        inputs = first.end(end) - max(0, first.begin(begin))
        kernel = self._kernel(position, inputs, end - begin, max(0, -first.begin(begin)))
        offsets = []
        for operand in kernel.operands:
            reading = by_name.get(operand) if isinstance(operand, str) else None
            row = max(0, reading.begin(begin)) if reading else 0
            offsets.append(self._offset(reading.name, s, row, reading.row_bytes) if reading else 0)
        offsets.append(self._offset(one.output, s, begin, one.row_bytes))
        made_bytes = (end - begin) * one.row_bytes
        return Call(one.index, kernel, tuple(offsets), begin * one.row_bytes, made_bytes)

    def _offset(self, name: str, s: int, row: int, row_bytes: int) -> int:
        """Where a row lies: in its lines, or in the whole tensor."""
        first = self._rows.held[name][s] if name in self._rows.lines else 0
        return (row - first) * row_bytes

    def _kernel(self, position: int, inputs: int, outputs: int, above: int) -> Kernel:
        one, key = self._rows.layers[position], (position, inputs, outputs, above)
        if key not in self._kernels:
            parameters = one.of_rows(inputs, outputs, above)
            self._kernels[key] = replace(one.kernel, parameters=parameters)
        return self._kernels[key]

    def _move(self, s: int, position: int, rows: int) -> Call:
        """The rows that are still needed, to the start of their buffer."""
        one = self._rows.layers[position]
        held = self._rows.held[one.output]
        by = held[s] - held[s - 1]
        # Rows that would overlap themselves move one by one, the first one first.
        parts, size = (1, rows) if rows <= by else (rows, 1)
        key = (position, rows, by)
        if key not in self._kernels:
            self._kernels[key] = Kernel(
                "ek_copy_rows",
                "ek_copy",
                {
                    "rows": parts,
                    "row_bytes": size * one.row_bytes,
                    "input_offset": by * one.row_bytes,
                    "input_stride": size * one.row_bytes,
                    "output_offset": 0,
                    "output_stride": size * one.row_bytes,
                },
                (one.output,),
                (one.output,),
            )
        return Call(one.index, self._kernels[key], (0, 0))


def _loops(stripes: Sequence[tuple[Call, ...]]) -> Iterator[Loop]:
    """Stripes that differ only by where they read and write, evenly, become one loop."""
    strides = [_strides(one, other) for one, other in pairwise(stripes)]
    s = 0
    while s < len(stripes):
        step = strides[s] if s < len(strides) else None
        turns = 1
        while step is not None and s + turns <= len(strides) and strides[s + turns - 1] == step:
            turns += 1
        if turns < 3:  # a loop of two turns is no shorter
            turns, step = 1, None
        calls = stripes[s]
        yield Loop(turns, calls, step or tuple((0,) * len(call.moving) for call in calls))
        s += turns


def _strides(one: tuple[Call, ...], other: tuple[Call, ...]) -> tuple[tuple[int, ...], ...] | None:
    """What moves from one stripe to the next; None if they make other calls."""
    if [id(call.kernel) for call in one] != [id(call.kernel) for call in other]:
        return None
    return tuple(
        tuple(after - before for before, after in zip(a.moving, b.moving, strict=True))
        for a, b in zip(one, other, strict=True)
    )
