"""TFLite Micro's memory planner: buffers with live ranges -> offsets in one arena.

Places the largest buffer first, each one at the lowest gap among those alive at the same time
(GreedyMemoryPlanner in tensorflow/lite/micro/memory_planner/). The tie rules are TFLM's too, since
one other order can make the arena larger.
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


def place(buffers: Sequence[Buffer]) -> tuple[int, ...]:
    """The offset of each buffer, in the order given.

    Args:
        buffers: sizes already rounded up to the arena's alignment. Of two equally large ones the
            later is placed first: TFLM fills its list from the back and sorts it stably.
    """
    offsets = [0] * len(buffers)
    placed: list[int] = []  # sorted by offset; among equals the earlier placed comes first
    order = sorted(range(len(buffers)), key=lambda i: (-buffers[i].size_bytes, -i))
    for index in order:
        offset = 0
        for other in placed:
            if not buffers[index].overlaps(buffers[other]):
                continue
            if offsets[other] - offset >= buffers[index].size_bytes:
                break
            offset = max(offset, offsets[other] + buffers[other].size_bytes)
        offsets[index] = offset
        position = sum(offsets[other] <= offset for other in placed)
        placed.insert(position, index)
    return tuple(offsets)


def height(buffers: Sequence[Buffer], offsets: Sequence[int]) -> int:
    """Bytes from the arena's start to the end of the highest buffer."""
    return max((o + b.size_bytes for b, o in zip(buffers, offsets, strict=True)), default=0)
