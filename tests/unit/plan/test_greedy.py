from hypothesis import given
from hypothesis import strategies as st

from edgekit.plan.greedy import Buffer, height, place


def buffer(size: int, first: int, last: int) -> Buffer:
    return Buffer(f"{size}@{first}-{last}", size, first, last)


BUFFERS = st.lists(
    st.builds(
        lambda size, first, length: buffer(16 * size, first, first + length),
        st.integers(1, 20),
        st.integers(0, 9),
        st.integers(0, 4),
    ),
    max_size=12,
)


@given(BUFFERS)
def test_buffers_alive_together_never_overlap(buffers: list[Buffer]) -> None:
    offsets = place(buffers)
    for i, (one, at) in enumerate(zip(buffers, offsets, strict=True)):
        for other, there in list(zip(buffers, offsets, strict=True))[:i]:
            apart = at + one.size_bytes <= there or there + other.size_bytes <= at
            assert apart or not one.overlaps(other)


@given(BUFFERS)
def test_height_is_between_the_peak_and_the_sum(buffers: list[Buffer]) -> None:
    alive = (sum(b.size_bytes for b in buffers if b.first <= step <= b.last) for step in range(15))
    total = height(buffers, place(buffers))
    assert max(alive) <= total <= sum(b.size_bytes for b in buffers)


def test_a_gap_is_reused() -> None:
    buffers = [buffer(64, 0, 1), buffer(32, 1, 2), buffer(48, 2, 3)]
    assert place(buffers) == (0, 64, 0)


def test_of_equal_sizes_the_later_one_is_placed_first() -> None:
    assert place([buffer(32, 0, 0), buffer(32, 0, 0)]) == (32, 0)


def test_planned_buffers_keep_their_offsets_and_the_others_go_around_them() -> None:
    buffers = [buffer(64, 0, 1), buffer(32, 0, 2), buffer(16, 1, 1)]
    assert place(buffers, [32, None, None]) == (32, 0, 96)
    assert place(buffers, [32, 48, None]) == (32, 48, 0)  # even where they overlap


def test_no_buffers_need_nothing() -> None:
    assert height([], place([])) == 0
