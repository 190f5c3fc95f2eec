"""Which layers of a C program to compute in stripes: instructions against bytes of arena.

A `Program` enters; leaves a curve of plans, from the program as it is to the smallest arena found,
each the cheapest of those that need no more memory. What a stretch of layers needs while it runs
depends on nothing but its own stripes, so the choice is a shortest path through the layers: every
stretch is one edge, and edges that need more than a limit are left out. Instructions are estimates
of what stripes add (calls, rows that move); `edgekit bench` counts them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from edgekit.errors import DoesNotFitError
from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.program import Program
from edgekit.lower.stripes import Layer, Rows, are_closed, in_stripes, layer, trail_of
from edgekit.plan.arena import ALIGNMENT, activation_buffers
from edgekit.plan.placement import shared_bytes
from edgekit.plan.sharing import Choice, share
from edgekit.plan.static_memory import StaticMemory, plan_memory, quick_arena_bytes
from edgekit.plan.tflm_memory import align

SMALLEST = 0  # for `ram_bytes`: the smallest arena there is, at any price
# What one more call of a kernel takes, and a byte that moves: measured on a Cortex-M4.
_CALL_INSTRUCTIONS, _INSTRUCTIONS_A_BYTE = 60, 1
_HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_MOST_LAYERS = 24
# Plans that save less than this part of the arena beside a cheaper one are not worth a line.
_STEP = 1 / 32
# In instructions, for a stretch of layers in stripes beside what it takes.
_PRICES = (0, 5_000, 1_000_000)


@dataclass(frozen=True, eq=False)
class Plan:
    """A program and its memory.

    Attributes:
        extra_instructions: what its stripes add to an inference; an estimate.
    """

    program: Program
    memory: StaticMemory
    extra_instructions: int


@lru_cache(maxsize=4)
def plan_program(graph: Graph, isa: Isa, ram_bytes: int | None = None) -> Plan:
    """The program of a graph and where everything lies.

    Args:
        ram_bytes: None computes layer by layer; `SMALLEST`, or the most bytes of arena, may
            compute layers in stripes.

    Raises:
        UnsupportedError: names the first node that no kernel computes.
        DoesNotFitError: no plan is so small.
    """
    if ram_bytes is None:
        program = lower(graph, isa)
        return Plan(program, plan_memory(program), 0)
    plans = plans_of(graph, isa)
    if ram_bytes == SMALLEST:
        return plans[-1]
    for plan in plans:
        if plan.memory.arena_bytes <= ram_bytes:
            return plan
    least = plans[-1].memory.arena_bytes
    raise DoesNotFitError(
        f"No plan of '{graph.name}' needs {ram_bytes:,} bytes of arena or less.",
        hint=f"The smallest takes {least:,} (--ram); a smaller resolution or width takes less.",
    )


@lru_cache(maxsize=4)
def plans_of(graph: Graph, isa: Isa) -> tuple[Plan, ...]:
    """The curve of a graph's program."""
    return curve(lower(graph, isa))


def curve(program: Program) -> tuple[Plan, ...]:
    """Plans with ever smaller arenas at ever higher prices; the first is without stripes."""
    plans = [Plan(program, plan_memory(program), 0)]
    for path in _front(_candidates(program)):
        plan = Plan(path.program, plan_memory(path.program), path.extra_instructions)
        if plan.memory.arena_bytes < plans[-1].memory.arena_bytes:
            plans.append(plan)
    return tuple(plans)


@dataclass(frozen=True, eq=False)
class _Candidate:
    program: Program
    arena_bytes: int
    extra_instructions: int


def _candidates(program: Program) -> Iterator[_Candidate]:
    """What is alive at once is not all: many short stretches are hard to place. So few are tried,
    too, by a price for each.
    """
    stretches = _Stretches(program)
    for price in _PRICES:
        for path in stretches.paths(price):
            striped = in_stripes(program, [edge.rows for edge in path.edges])
            yield _Candidate(striped, quick_arena_bytes(striped), path.extra_instructions)


def _front(candidates: Iterator[_Candidate]) -> list[_Candidate]:
    """Those that no other one beats, cheapest first, without those that save next to nothing."""
    front: list[_Candidate] = []
    for one in sorted(candidates, key=lambda one: (one.extra_instructions, one.arena_bytes)):
        if not front or one.arena_bytes < front[-1].arena_bytes:
            front.append(one)
    kept = []
    before = float("inf")
    for one in front:
        if one.arena_bytes <= before * (1 - _STEP) or one is front[-1]:
            before = one.arena_bytes
            kept.append(one)
    return kept


@dataclass(frozen=True, eq=False)
class _Edge:
    """A stretch of layers in stripes, what it needs while it runs, and what it adds."""

    rows: Rows
    peak_bytes: int
    extra_instructions: int


@dataclass(frozen=True, eq=False)
class _Path:
    edges: tuple[_Edge, ...]
    peak_bytes: int

    @property
    def extra_instructions(self) -> int:
        return sum(edge.extra_instructions for edge in self.edges)


class _Stretches:
    def __init__(self, program: Program) -> None:
        self._program = program
        self._count = len(program.steps)
        self._layers = [layer(program, index) for index in range(self._count)]
        self._buffers = {buffer.name: buffer for buffer in activation_buffers(program.graph)}
        self._lives = {name: buffer.last for name, buffer in self._buffers.items()}
        self._sharing = share(program, Choice())

    @cached_property
    def _alone(self) -> list[int]:
        """The bytes alive while each step is computed at once."""
        return [self._sharing.bytes_at(step) for step in range(1, self._count + 1)]

    @cached_property
    def _floor(self) -> int:
        """What no plan can go below: the inputs, and steps that cannot be computed in stripes."""
        tensors = self._program.graph.tensors
        inputs = sum(tensors[name].size_bytes for name in self._program.graph.inputs)
        whole = (b for b, one in zip(self._alone, self._layers, strict=True) if one is None)
        return max([inputs, *whole])

    def paths(self, price: int) -> Iterator[_Path]:
        """The cheapest paths with ever lower peaks, where each stretch has a price of its own."""
        limit = max(self._alone, default=0)
        while path := self._cheapest(limit - ALIGNMENT, price):
            limit = path.peak_bytes
            yield path

    def _cheapest(self, limit: int, price: int) -> _Path | None:
        """The cheapest path on which nothing needs more than a limit."""
        best: list[tuple[int, int, tuple[_Edge, ...]] | None] = [None] * self._count
        best.append((0, 0, ()))
        for step in range(self._count - 1, -1, -1):
            found = []
            if (rest := best[step + 1]) and self._alone[step] <= limit:
                found.append((rest[0], max(rest[1], self._alone[step]), rest[2]))
            for edge in self._edges.get(step, ()):
                rest = best[edge.rows.layers[-1].index + 1]
                if rest and edge.peak_bytes <= limit:
                    cost, peak = edge.extra_instructions + price, edge.peak_bytes
                    found.append((rest[0] + cost, max(rest[1], peak), (edge, *rest[2])))
            best[step] = min(found, key=lambda one: one[:2], default=None)
        return _Path(best[0][2], best[0][1]) if best[0] else None

    @cached_property
    def _edges(self) -> dict[int, list[_Edge]]:
        """All stretches that could be of use, by their first step."""
        top = max(self._alone, default=0)
        return {
            first: [
                edge
                for layers in self._stretches(first)
                for edge in self._heights(layers)
                if edge.peak_bytes < top
            ]
            for first in range(self._count)
        }

    def _stretches(self, first: int) -> Iterator[tuple[Layer, ...]]:
        """Consecutive layers of which only the last one's output is read elsewhere."""
        layers: list[Layer] = []
        for index in range(first, min(self._count, first + _MOST_LAYERS)):
            one = self._layers[index]
            if one is None:
                return
            layers.append(one)
            is_needed = any(self._alone[each.index] > self._floor for each in layers)
            if is_needed and are_closed(self._program.graph, layers):
                yield tuple(layers)

    def _heights(self, layers: tuple[Layer, ...]) -> Iterator[_Edge]:
        for height in _HEIGHTS:
            if 2 * height > layers[-1].height:
                return
            rows = Rows(layers, height)
            yield _Edge(rows, self._peak_bytes(rows), _extra_instructions(rows))

    def _peak_bytes(self, rows: Rows) -> int:
        """What is alive at most while the stripes are computed."""
        begin, end = rows.layers[0].index + 1, rows.layers[-1].index + 1
        output = rows.layers[-1].output
        inner = set(rows.lines)
        outer = [
            buffer
            for name, buffer in self._buffers.items()
            if name not in inner and buffer.first <= end and buffer.last >= begin
        ]
        always = sum(buffer.size_bytes for buffer in outer)
        always += sum(align(b.size_bytes, ALIGNMENT) for b in rows.lines.values() if b.are_kept)
        if trail := trail_of(self._program, rows, self._lives):
            one, other = self._buffers[output], self._buffers[trail.name]
            always -= shared_bytes(one, other, align(trail.distance_bytes, ALIGNMENT))
        return always + max(self._passing_bytes(rows, step) for step in range(begin, end + 1))

    def _passing_bytes(self, rows: Rows, step: int) -> int:
        """The scratch of a step, and the lines that are there for it alone."""
        scratch = align(rows.scratch_bytes(step - 1 - rows.layers[0].index), ALIGNMENT)
        lines = (
            align(line.size_bytes, ALIGNMENT)
            for name, line in rows.lines.items()
            if not line.are_kept and self._buffers[name].first <= step <= self._buffers[name].last
        )
        return sum(lines) + scratch


def _extra_instructions(rows: Rows) -> int:
    calls, moved_bytes, slower = -len(rows.layers), 0, 0
    for one, way in zip(rows.layers, rows.ways, strict=True):
        if way is not one.ways[0] and way.estimate and one.ways[0].estimate:
            slower += way.estimate.instructions - one.ways[0].estimate.instructions
    for made in rows.made:
        calls += sum(after > before for before, after in itertools.pairwise(made))
    for _, position, moving in rows.moves():
        calls += 1
        moved_bytes += moving * rows.layers[position].row_bytes
    return int(slower + calls * _CALL_INSTRUCTIONS + moved_bytes * _INSTRUCTIONS_A_BYTE)
