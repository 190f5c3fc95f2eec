from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.plan.greedy import Buffer, height, place
from edgekit.plan.placement import _FirstFit, _greedy_orders, lower_bound, pack


def buffers_of(rows: list[tuple[int, int, int]]) -> list[Buffer]:
    """(units of 16 bytes, first step, steps after it)."""
    return [
        Buffer(str(i), 16 * size, first, first + more) for i, (size, first, more) in enumerate(rows)
    ]


def rows(most: int) -> st.SearchStrategy[list[tuple[int, int, int]]]:
    row = st.tuples(st.integers(1, 20), st.integers(0, 9), st.integers(0, 4))
    return st.lists(row, max_size=most)


def lowest_of_all(buffers: list[Buffer]) -> int:
    """Tries every order of stacking buffers on those that are alive with them."""
    best = sum(b.size_bytes for b in buffers)
    for order in permutations(range(len(buffers))):
        offsets: dict[int, int] = {}
        for i in order:
            below = [j for j in offsets if buffers[i].overlaps(buffers[j])]
            offsets[i] = max((offsets[j] + buffers[j].size_bytes for j in below), default=0)
        best = min(best, height(buffers, [offsets[i] for i in range(len(buffers))]))
    return best


@settings(max_examples=60, deadline=None)
@given(rows(6))
def test_small_placements_are_optimal(some: list[tuple[int, int, int]]) -> None:
    buffers = buffers_of(some)
    packing = pack(buffers)
    assert packing.is_optimal
    assert packing.height_bytes == lowest_of_all(buffers)


@settings(max_examples=60, deadline=None)
@given(rows(25))
def test_buffers_alive_together_never_overlap(some: list[tuple[int, int, int]]) -> None:
    buffers = buffers_of(some)
    packing = pack(buffers)
    ends = [o + b.size_bytes for o, b in zip(packing.offsets, buffers, strict=True)]
    for i, one in enumerate(buffers):
        for j in range(i):
            apart = ends[i] <= packing.offsets[j] or ends[j] <= packing.offsets[i]
            assert apart or not one.overlaps(buffers[j])
    assert packing.height_bytes == height(buffers, packing.offsets)
    assert all(offset % 16 == 0 for offset in packing.offsets)


@settings(max_examples=60, deadline=None)
@given(rows(25))
def test_never_higher_than_tflms_plan_nor_lower_than_the_bound(
    some: list[tuple[int, int, int]],
) -> None:
    buffers = buffers_of(some)
    assert lower_bound(buffers) <= pack(buffers).height_bytes <= height(buffers, place(buffers))


def test_the_search_finds_what_no_greedy_order_finds() -> None:
    buffers = buffers_of([(1, 4, 2), (1, 5, 1), (9, 2, 0), (6, 5, 0), (5, 4, 2), (4, 1, 3)])
    greedy = [_FirstFit(buffers).packing(order, 0) for order in _greedy_orders(buffers)]
    assert min(packing.height_bytes for packing in greedy) == 256
    assert pack(buffers).height_bytes == lower_bound(buffers) == 208


def hard_case(seed: int, count: int) -> list[Buffer]:
    """Many buffers whose lower bound no greedy order reaches."""
    random = np.random.default_rng(seed)
    drawn = (random.integers((1, 0, 0), (51, count + 1, 6)) for _ in range(count))
    return buffers_of([(int(size), int(first), int(more)) for size, first, more in drawn])


@pytest.mark.parametrize("seed", [2, 13, 26])
def test_the_climb_reaches_the_bound_where_greedy_orders_do_not(seed: int) -> None:
    buffers = hard_case(seed, 60)
    bound = lower_bound(buffers)
    greedy = [_FirstFit(buffers).packing(order, bound) for order in _greedy_orders(buffers)]
    assert min(packing.height_bytes for packing in greedy) > bound
    assert pack(buffers).height_bytes == bound


def test_the_same_buffers_get_the_same_offsets() -> None:
    buffers = hard_case(13, 60)
    assert pack(buffers) == pack(buffers)


def test_nothing_needs_nothing() -> None:
    assert pack([]).height_bytes == 0
    assert lower_bound([]) == 0
