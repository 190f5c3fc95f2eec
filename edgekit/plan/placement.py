"""A better memory plan than TFLite Micro's own: buffers with live ranges -> offsets in one arena.

Buffers enter; the best placement found leaves. The problem (dynamic storage allocation) is
NP-hard, so: a few greedy orders first, then a search that is exhaustive where it ends within its
budget, then a seeded hill climb. All of it stops at the lower bound, the most bytes alive at one
step, which most networks reach at once. The budgets count placements and not seconds, so the same
buffers always give the same offsets. Sources: Pisarchyk and Lee 2020, arXiv:2001.03288 (greedy by
size and by breadth); Sekiyama et al. 2018, arXiv:1804.10001 (best fit).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from edgekit.plan.greedy import Buffer, height

# Buffers placed by the exhaustive search and by the hill climb before they give up (about half a
# second each), and beyond how many buffers the search is not tried.
_SEARCH_BUDGET = 60_000
_CLIMB_BUDGET = 60_000
_SEARCHABLE = 40
_SEED = 0


@dataclass(frozen=True)
class Packing:
    """A placement.

    Attributes:
        offsets: one a buffer, in the order given.
        height_bytes: from the arena's start to the end of the highest buffer.
        is_optimal: whether no placement is lower; False if that could not be shown.
    """

    offsets: tuple[int, ...]
    height_bytes: int
    is_optimal: bool


Distances = Mapping[tuple[int, int], int]


def pack(
    buffers: Sequence[Buffer], distances: Distances | None = None, *, is_quick: bool = False
) -> Packing:
    """The lowest placement found; buffers that are alive together never overlap.

    Args:
        distances: (i, j): buffer j may begin so many bytes behind the start of i, even inside it;
            or else it lies wholly below i.
        is_quick: tries a few orders only, and does not search.
    """
    if not buffers:
        return Packing((), 0, True)
    distances = distances or {}
    bound = lower_bound(buffers, distances)
    fit = _FirstFit(buffers, distances)
    best: Packing | None = None
    for order in _greedy_orders(buffers):
        best = _lower(best, fit.packing(order, bound))
        if best.is_optimal:
            return best
    assert best is not None
    if is_quick:
        return best
    if len(buffers) <= _SEARCHABLE and not distances:
        best = _Exhaustive(buffers, best).packing()
    return best if best.is_optimal else _climb(fit, best, bound)


def lower_bound(buffers: Sequence[Buffer], distances: Distances | None = None) -> int:
    """The most bytes alive at one step; no placement is lower."""
    pairs = [(buffers[i], buffers[j], d) for (i, j), d in (distances or {}).items()]
    return max((_least(alive, pairs) for alive in _alive(buffers)), default=0)


def _least(alive: list[Buffer], pairs: Sequence[tuple[Buffer, Buffer, int]]) -> int:
    present = set(map(id, alive))
    saved = sum(shared_bytes(*pair) for pair in pairs if {id(pair[0]), id(pair[1])} <= present)
    return sum(buffer.size_bytes for buffer in alive) - saved


def shared_bytes(one: Buffer, other: Buffer, distance: int) -> int:
    """What two buffers save if the other begins so far behind the start of the first."""
    together = one.size_bytes + other.size_bytes
    return max(0, together - max(one.size_bytes, distance + other.size_bytes))


def _alive(buffers: Sequence[Buffer]) -> list[list[Buffer]]:
    """The buffers alive at each step at which one begins; nowhere are more alive together."""
    steps = sorted({buffer.first for buffer in buffers})
    return [[b for b in buffers if b.first <= step <= b.last] for step in steps]


def _lower(one: Packing | None, other: Packing) -> Packing:
    return one if one is not None and one.height_bytes <= other.height_bytes else other


def _greedy_orders(buffers: Sequence[Buffer]) -> Iterator[list[int]]:
    """By size, by breadth, by start of life, by area, by length of life."""
    indices = range(len(buffers))

    def sizes(i: int) -> int:
        return -buffers[i].size_bytes

    def steps(i: int) -> int:
        return buffers[i].first - buffers[i].last - 1

    yield sorted(indices, key=lambda i: (sizes(i), -i))
    yield _by_breadth(buffers)
    yield sorted(indices, key=lambda i: (buffers[i].first, sizes(i), i))
    yield sorted(indices, key=lambda i: (-sizes(i) * steps(i), i))
    yield sorted(indices, key=lambda i: (steps(i), sizes(i), i))


def _by_breadth(buffers: Sequence[Buffer]) -> list[int]:
    """All that is alive at the fullest step, the largest first; then at the next fullest."""
    index = {id(buffer): i for i, buffer in enumerate(buffers)}
    fullest_first = sorted(_alive(buffers), key=lambda alive: -sum(b.size_bytes for b in alive))
    order: dict[int, None] = {}
    for alive in fullest_first:
        for buffer in sorted(alive, key=lambda b: -b.size_bytes):
            order.setdefault(index[id(buffer)])
    return list(order)


class _FirstFit:
    """Places buffers one by one, each into the lowest gap among those alive with it."""

    def __init__(self, buffers: Sequence[Buffer], distances: Distances | None = None) -> None:
        self._buffers = buffers
        agreed = distances or {}
        # For each buffer the others alive with it, how far below them it must begin, and how far
        # above: its own size and theirs, unless something else was agreed.
        self._together = [
            [
                (
                    j,
                    min(buffer.size_bytes, agreed.get((i, j), buffer.size_bytes)),
                    min(other.size_bytes, agreed.get((j, i), other.size_bytes)),
                )
                for j, other in enumerate(buffers)
                if j != i and buffer.overlaps(other)
            ]
            for i, buffer in enumerate(buffers)
        ]

    def packing(self, order: Sequence[int], bound: int) -> Packing:
        """The placement that an order gives."""
        offsets = [-1] * len(self._buffers)
        for i in order:
            offsets[i] = self._lowest_gap(i, offsets)
        top = height(self._buffers, offsets)
        return Packing(tuple(offsets), top, top == bound)

    def _lowest_gap(self, i: int, offsets: Sequence[int]) -> int:
        gap = 0
        closed = [
            (offsets[j] - below, offsets[j] + above)
            for j, below, above in self._together[i]
            if offsets[j] >= 0
        ]
        for start, end in sorted(closed):
            if start >= gap:
                break
            gap = max(gap, end)
        return gap


class _Exhaustive:
    """Branch and bound over all placements in which every buffer rests on another or the ground.

    One of these is optimal: pushing buffers down never makes a placement higher. They are built
    from the ground up, in order of offset, so the highest end at each step (the skyline) is all
    that a partial placement must remember.
    """

    def __init__(self, buffers: Sequence[Buffer], best: Packing) -> None:
        self._best = best
        steps = sorted({buffer.first for buffer in buffers})
        self._sizes = [buffer.size_bytes for buffer in buffers]
        self._spans = [
            range(
                next(i for i, step in enumerate(steps) if step == buffer.first),
                sum(step <= buffer.last for step in steps),
            )
            for buffer in buffers
        ]
        self._skyline = [0] * len(steps)
        self._waiting = [
            sum(b.size_bytes for b in buffers if b.first <= step <= b.last) for step in steps
        ]
        self._offsets = [-1] * len(buffers)
        self._budget = _SEARCH_BUDGET

    def packing(self) -> Packing:
        """The optimum, or the best that was found within the budget."""
        self._extend(0, 0, len(self._sizes))
        return Packing(self._best.offsets, self._best.height_bytes, self._budget > 0)

    def _extend(self, lowest: int, after: int, missing: int) -> None:
        """Place each waiting buffer next in turn, at `lowest` or above."""
        if missing == 0:
            top = max(self._skyline)
            self._best = _lower(self._best, Packing(tuple(self._offsets), top, False))
            return
        for offset, i in self._choices(lowest, after):
            if self._budget <= 0 or self._least(lowest) >= self._best.height_bytes:
                return
            self._budget -= 1
            size, span = self._sizes[i], self._spans[i]
            before = self._skyline[span.start : span.stop]
            self._offsets[i] = offset
            for step in span:
                self._skyline[step] = offset + size
                self._waiting[step] -= size
            if self._least(offset) < self._best.height_bytes:
                self._extend(offset, i, missing - 1)
            self._offsets[i] = -1
            self._skyline[span.start : span.stop] = before
            for step in span:
                self._waiting[step] += size

    def _choices(self, lowest: int, after: int) -> list[tuple[int, int]]:
        """(offset, buffer) of those that may come next; of equal offsets in order of index."""
        found = []
        for i, span in enumerate(self._spans):
            if self._offsets[i] < 0:
                offset = max(self._skyline[span.start : span.stop])
                if offset > lowest or (offset == lowest and i >= after):
                    found.append((offset, i))
        return sorted(found, key=lambda choice: (choice[0], -self._sizes[choice[1]], choice[1]))

    def _least(self, lowest: int) -> int:
        """No placement that continues this one is lower."""
        return max(
            max(top, lowest) + waiting if waiting else top
            for top, waiting in zip(self._skyline, self._waiting, strict=True)
        )


def _climb(fit: _FirstFit, best: Packing, bound: int) -> Packing:
    """Move one buffer at a time to another turn; keep what is not higher."""
    chance = random.Random(_SEED)
    order = sorted(range(len(best.offsets)), key=lambda i: (best.offsets[i], i))
    current = fit.packing(order, bound)
    for _ in range(_CLIMB_BUDGET // len(order)):
        trial = list(order)
        trial.insert(chance.randrange(len(order)), trial.pop(chance.randrange(len(order))))
        packing = fit.packing(trial, bound)
        if packing.height_bytes <= current.height_bytes:
            order, current = trial, packing
            best = _lower(best, current)
        if best.is_optimal:
            break
    return best
