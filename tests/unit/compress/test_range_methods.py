"""Each method's range, on distributions whose best range is known or can be searched."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.compress.range_methods import METHODS, Observed, chosen_by

RANDOM = np.random.default_rng(0)
BELL = RANDOM.normal(0, 1, (50, 400)).astype(np.float32)


def observed(*arrays: np.ndarray) -> Observed:
    seen = Observed()
    for array in arrays:
        seen.add(array)
    return seen


def error(values: np.ndarray, low: float, high: float) -> float:
    step = (high - low) / 255
    return float(np.square(values - np.clip(np.rint(values / step) * step, low, high)).mean())


def test_minmax_is_the_extremes() -> None:
    assert chosen_by("minmax", observed(BELL)) == (float(BELL.min()), float(BELL.max()))


def test_average_is_the_mean_of_the_samples_extremes() -> None:
    low, high = chosen_by("average", observed(BELL[:20], BELL[20:]))
    assert low == pytest.approx(BELL.min(axis=1).mean(), rel=1e-5)
    assert high == pytest.approx(BELL.max(axis=1).mean(), rel=1e-5)


def test_percentile_leaves_one_outlier_out() -> None:
    values = np.append(BELL, 1000.0).astype(np.float32)[None]
    low, high = chosen_by("percentile", observed(values))
    assert -6 < low < -3
    assert 3 < high < 6


def test_mse_beats_the_extremes_where_one_value_is_far_away() -> None:
    values = np.append(BELL, 40.0).astype(np.float32)[None]
    chosen = chosen_by("mse", observed(values))
    assert error(values, *chosen) < error(values, float(values.min()), 40.0)


def test_kl_cuts_a_tail_that_hardly_any_value_is_in() -> None:
    values = np.append(BELL, 40.0).astype(np.float32)[None]
    _, high = chosen_by("kl", observed(values))
    assert 3 < high < 20


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_a_constant_activation(method: str, value: float) -> None:
    low, high = chosen_by(method, observed(np.full((4, 9), value, np.float32)))
    assert low == high == value


@pytest.mark.parametrize("method", METHODS)
def test_no_range_is_wider_than_the_extremes(method: str) -> None:
    values = RANDOM.exponential(2, (10, 300)).astype(np.float32)
    low, high = chosen_by(method, observed(values))
    assert values.min() <= low < high <= values.max()
