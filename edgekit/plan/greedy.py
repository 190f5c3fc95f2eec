"""TFLite Micro's memory planner: buffers with live ranges -> offsets in one arena.

Buffers whose offsets a model brings along come first, then the largest, each one at the lowest gap
among those alive at the same time (GreedyMemoryPlanner in tensorflow/lite/micro/memory_planner/).
The tie rules are TFLM's too, since one other order can make the arena larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Buffer:
    """A piece of arena memory and the steps during which it is alive, both ends included."""

    name: str
    size_bytes: int
    first: int
    last: int

    def overlaps(self, other: Buffer) -> bool:
        """Whether both are alive at some step."""
        return self.first <= other.last and other.first <= self.last


def place(buffers: Sequence[Buffer], fixed: Sequence[int | None] | None = None) -> tuple[int, ...]:
    """The offset of each buffer, in the order given.

    Args:
        buffers: sizes already rounded up to the arena's alignment. Of two equally large ones the
            later is placed first: TFLM fills its list from the back and sorts it stably.
        fixed: one entry a buffer: an offset planned in advance (a model's offline plan), which is
            taken as it is even where it overlaps another, or None for the planner to choose.
    """
    given = fixed or [None] * len(buffers)
    offsets = [offset or 0 for offset in given]
    first = [i for i, offset in enumerate(given) if offset is not None]
    others = [i for i, offset in enumerate(given) if offset is None]
    placed: list[int] = []  # sorted by offset; among equals the earlier placed comes first
    for index in first + sorted(others, key=lambda i: (-buffers[i].size_bytes, -i)):
        if given[index] is None:
            offsets[index] = _lowest_gap(buffers, offsets, placed, index)
        position = sum(offsets[other] <= offsets[index] for other in placed)
        placed.insert(position, index)
    return tuple(offsets)


def _lowest_gap(
    buffers: Sequence[Buffer], offsets: Sequence[int], placed: Sequence[int], index: int
) -> int:
    """The lowest offset where a buffer has room among those placed that are alive with it."""
    offset = 0
    for other in placed:
        if not buffers[index].overlaps(buffers[other]):
            continue
        if offsets[other] - offset >= buffers[index].size_bytes:
            break
        offset = max(offset, offsets[other] + buffers[other].size_bytes)
    return offset


def height(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    """Bytes from the arena's start to the end of the highest buffer."""
    return max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0)
