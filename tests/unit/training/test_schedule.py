from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.training.recipe import Recipe, Stage
from edgekit.training.schedule import learning_rate, plan

RECIPE = Recipe(
    work=10_000,
    max_epochs=50,
    stages=(Stage(0.5, 0.5), Stage(1.0, 0.5)),
    warmup=0.1,
    learning_rate=0.2,
)


def test_work_is_shared_out_by_area() -> None:
    epochs = plan(RECIPE, 1000, 128, 128)
    # 5,000 images' worth each: 20 epochs at a quarter of the cost, 5 at full.
    assert [epoch.height for epoch in epochs] == [64] * 20 + [128] * 5
    assert epochs[19].end == pytest.approx(0.5)


def test_an_epoch_has_the_strength_of_its_stage() -> None:
    stages = (Stage(0.5, 0.5, 0.25), Stage(1.0, 0.5))
    epochs = plan(replace(RECIPE, stages=stages), 1000, 128, 128)
    assert [epoch.strength for epoch in epochs] == [0.25] * 20 + [1.0] * 5


def test_small_data_sets_are_repeated_up_to_a_limit() -> None:
    assert len(plan(RECIPE, 500, 128, 128)) == 50
    assert len(plan(RECIPE, 20, 128, 128)) == 50
    assert len(plan(RECIPE, 1_000_000, 128, 128)) == 1


def test_a_single_epoch_is_at_full_resolution() -> None:
    (epoch,) = plan(replace(RECIPE, epochs=1), 1000, 96, 128)
    assert (epoch.height, epoch.width) == (96, 128)


@pytest.mark.parametrize(("full", "half"), [(32, 32), (48, 32), (96, 64), (128, 64), (224, 128)])
def test_reduced_sizes_are_multiples_of_32(full: int, half: int) -> None:
    assert plan(RECIPE, 1000, full, full)[0].height == half


def test_a_network_smaller_than_the_grid_keeps_its_size() -> None:
    assert {epoch.height for epoch in plan(RECIPE, 1000, 24, 24)} == {24}


@given(
    epochs=st.integers(1, 60),
    images=st.integers(2, 5000),
    shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=4),
)
def test_every_plan_is_whole_and_in_order(epochs: int, images: int, shares: list[float]) -> None:
    scales = [0.25, 0.5, 0.75, 1.0][-len(shares) :]
    stages = tuple(Stage(scale, share) for scale, share in zip(scales, shares, strict=True))
    planned = plan(Recipe(epochs=epochs, stages=stages), images, 128, 128)
    assert [epoch.number for epoch in planned] == list(range(1, epochs + 1))
    assert planned[-1].height == 128
    assert [e.height for e in planned] == sorted(e.height for e in planned)
    assert planned[0].begin == 0
    assert planned[-1].end == 1
    for before, after in pairwise(planned):
        assert after.begin == before.end > before.begin
        assert after.first_of_size == (after.height != before.height)
    for epoch in planned:
        assert epoch.steps >= 1
        assert epoch.batch % 2 == 0
        assert images - epoch.batch < epoch.images <= images


def test_learning_rate_warms_up_and_dies_away() -> None:
    epochs = plan(RECIPE, 1000, 128, 128)
    rates = [learning_rate(RECIPE, epoch, step) for epoch in epochs for step in range(epoch.steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(0.2, rel=0.01)
    assert rates[0] < 0.01
    assert rates[-1] < 0.001


def test_a_smaller_batch_gets_a_lower_rate() -> None:
    few = plan(replace(RECIPE, epochs=1), 64, 128, 128)[0]
    many = plan(replace(RECIPE, epochs=1), 128, 128, 128)[0]
    assert (few.batch, many.batch) == (64, 128)
    assert learning_rate(RECIPE, few, 0) == pytest.approx(learning_rate(RECIPE, many, 0) / 2)
