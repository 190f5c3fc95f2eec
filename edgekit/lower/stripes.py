"""Steps in stripes of rows: every layer computes just the new rows that the next one needs.

A program and a run of its steps enter; the calls leave that compute them stripe by stripe. Of each
tensor in between only lines are kept: the rows that a later stripe still reads, moved to the start
of their buffer, and behind them the new ones. So a kernel sees consecutive rows and no row is
computed twice. The kernel of a stripe is made by the layer's lowering for so many rows: the same
function, the same constants, with the parameters and the scratch that these rows take. If it does
not hold for so few of them, the next way to compute the node does, in all stripes of the layer.

Source of the idea: Alwani et al. 2016, "Fused-layer CNN accelerators"; Lin et al. 2021,
arXiv:2110.15352 (patches, with rows computed twice).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise

from edgekit.graph.ir import Graph, Node, Tensor
from edgekit.graph.ops import AveragePool2D, Conv2D, DepthwiseConv2D, MaxPool2D, Padding
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
)

_WINDOWS = (Conv2D, DepthwiseConv2D, AveragePool2D, MaxPool2D)


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

    @staticmethod
    def of(tensor: Tensor, rows: Axis) -> Reading:
        """Of a tensor under windows."""
        reach = (rows.taps - 1) * rows.dilation + 1
        row_bytes = tensor.size_bytes // rows.size
        return Reading(tensor.name, rows.size, row_bytes, rows.stride, rows.before, reach)

    def begin(self, row: int) -> int:
        """The first row that the output's rows from `row` on read; negative is padding."""
        return row * self.stride - self.before

    def end(self, rows: int) -> int:
        """Behind the last row that the first `rows` rows of the output read."""
        return min(self.height, self.begin(rows - 1) + self.reach)


@dataclass(frozen=True)
class Band:
    """Some rows of a layer: of its input, of its output, and of the padding above them."""

    inputs: int
    outputs: int
    above: int


@dataclass(frozen=True, eq=False)
class Layer:
    """A node that can be computed in stripes.

    Attributes:
        ways: to compute it by rows, that of the whole layer first if it is one; one of them holds
            for any rows.
        rows: the windows along the rows; of element-wise nodes each is a row.
        readings: of the activations that are read row by row; others are read as a whole.
        height, row_bytes: of its output.
    """

    index: int
    ways: tuple[Step, ...]
    rows: Axis
    readings: tuple[Reading, ...]
    height: int
    row_bytes: int
    _kernels: dict[tuple[int, Band], Kernel] = field(default_factory=dict)

    @property
    def node(self) -> Node:
        """What it computes."""
        return self.ways[0].node

    @property
    def output(self) -> str:
        """The tensor that it makes."""
        return self.node.outputs[0]

    def kernel(self, way: Step, band: Band) -> Kernel:
        """Of one of the ways, for some rows; always the same for the same."""
        key = (self.ways.index(way), band)
        if key not in self._kernels:
            assert way.of_rows is not None
            rows = self.rows.part(band.inputs, band.outputs, band.above)
            self._kernels[key] = way.of_rows(rows)
        return self._kernels[key]


def layer(program: Program, index: int) -> Layer | None:
    """A step as a layer of stripes; None if its node computes everything or nothing."""
    step, tensors = program.steps[index], program.graph.tensors
    output = tensors[step.node.outputs[0]]
    if len(output.shape) != 4 or output.shape[0] != 1:
        return None
    ways = tuple(way for way in (step, *step.others) if way.of_rows is not None)
    if not any(way.least_rows == 1 for way in ways):
        return None
    rows = _windows(program.graph, step.node)
    readings = tuple(
        Reading.of(tensors[name], rows)
        for name in dict.fromkeys(program.activations(step.node))
        if isinstance(step.node.op, _WINDOWS) or tensors[name].shape == output.shape
    )
    if not readings:
        return None
    row_bytes = output.size_bytes // rows.count
    return Layer(index, ways, rows, readings, rows.count, row_bytes)


def are_closed(graph: Graph, layers: Sequence[Layer]) -> bool:
    """Whether only they read, and by rows, what all but the last of them make."""
    for one in layers[:-1]:
        readers = [
            other.node
            for other in layers
            if any(reading.name == one.output for reading in other.readings)
        ]
        if one.output in graph.outputs or tuple(readers) != graph.consumers(one.output):
            return False
        if not readers:
            return False
    return True


def _windows(graph: Graph, node: Node) -> Axis:
    op, height = node.op, graph.tensors[node.outputs[0]].shape[1]
    match op:
        case Conv2D() | DepthwiseConv2D():
            taps, dilation = graph.tensors[node.inputs[1]].shape[1], op.dilation[0]
        case AveragePool2D() | MaxPool2D():
            taps, dilation = op.filter[0], 1
        case _:
            return Axis.of(height, 1, 1, 1, Padding.VALID)
    size = graph.tensors[node.inputs[0]].shape[1]
    return Axis.of(size, taps, op.stride[0], dilation, op.padding)


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
    def bands(self) -> list[list[Band | None]]:
        """What each layer computes in each stripe; None if that is nothing."""
        return [
            [self._band(one, *ends) if ends[1] > ends[0] else None for ends in pairwise(made)]
            for one, made in zip(self.layers, self.made, strict=True)
        ]

    @cached_property
    def ways(self) -> list[Step]:
        """How each layer is computed: the first way that holds for all its bands."""
        return [
            next(way for way in one.ways if way.least_rows <= min(b.outputs for b in bands if b))
            for one, bands in zip(self.layers, self.bands, strict=True)
        ]

    def kernel(self, position: int, band: Band) -> Kernel:
        """What computes some rows of a layer."""
        return self.layers[position].kernel(self.ways[position], band)

    def scratch_bytes(self, position: int) -> int:
        """The most that a layer needs in any stripe."""
        bands = {band for band in self.bands[position] if band}
        return max(self.kernel(position, band).scratch_bytes or 0 for band in bands)

    @staticmethod
    def _band(one: Layer, begin: int, end: int) -> Band:
        reading = one.readings[0]
        first = reading.begin(begin)
        return Band(reading.end(end) - max(0, first), end - begin, max(0, -first))

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
    steps = list(program.steps)
    for rows in parts:
        for one, way in zip(rows.layers, rows.ways, strict=True):
            steps[one.index] = way
    return replace(program, steps=tuple(steps), stripes=stripes)


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
    """Attributes: `_copies`, one for each layer, rows and distance that move."""

    def __init__(self, program: Program, rows: Rows) -> None:
        self._program = program
        self._rows = rows
        self._copies: dict[tuple[int, ...], Kernel] = {}
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
        for position, bands in enumerate(self._rows.bands):
            if (s, position) in self._moves:
                yield self._move(s, position, self._moves[s, position])
            if band := bands[s]:
                yield self._call(s, position, band)

    def _call(self, s: int, position: int, band: Band) -> Call:
        one, begin = self._rows.layers[position], self._rows.made[position][s]
        by_name = {reading.name: reading for reading in one.readings}
        kernel = self._rows.kernel(position, band)
        offsets = []
        for operand in kernel.operands:
            reading = by_name.get(operand) if isinstance(operand, str) else None
            row = max(0, reading.begin(begin)) if reading else 0
            offsets.append(self._offset(reading.name, s, row, reading.row_bytes) if reading else 0)
        offsets.append(self._offset(one.output, s, begin, one.row_bytes))
        made_bytes = band.outputs * one.row_bytes
        return Call(one.index, kernel, tuple(offsets), begin * one.row_bytes, made_bytes)

    def _offset(self, name: str, s: int, row: int, row_bytes: int) -> int:
        """Where a row lies: in its lines, or in the whole tensor."""
        first = self._rows.held[name][s] if name in self._rows.lines else 0
        return (row - first) * row_bytes

    def _move(self, s: int, position: int, rows: int) -> Call:
        """The rows that are still needed, to the start of their buffer."""
        one = self._rows.layers[position]
        held = self._rows.held[one.output]
        by = held[s] - held[s - 1]
        # Rows that would overlap themselves move one by one, the first one first.
        parts, size = (1, rows) if rows <= by else (rows, 1)
        key = (position, rows, by)
        if key not in self._copies:
            self._copies[key] = Kernel(
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
        return Call(one.index, self._copies[key], (0, 0))


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
