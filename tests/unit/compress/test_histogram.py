"""Histograms that find their own range."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.compress.histogram import BINS, Histogram


def test_every_value_is_in_the_bin_it_belongs_to() -> None:
    random = np.random.default_rng(0)
    histogram = Histogram()
    parts = [random.normal(0, 10.0**power, 500).astype(np.float32) for power in range(-3, 4)]
    for part in parts:
        histogram.add(part)
    values = np.concatenate(parts).astype(np.float64)
    index = np.floor(values / histogram.width).astype(np.int64) - histogram.first
    np.testing.assert_array_equal(histogram.counts, np.bincount(index, minlength=BINS))


def test_memory_does_not_grow() -> None:
    histogram = Histogram()
    for number in range(50):
        histogram.add(np.full(100, 1.5**number, np.float32))
    assert histogram.counts.shape == (BINS,)
    assert histogram.counts.sum() == 5000


@pytest.mark.parametrize("value", [0.0, 3.0, -2e20, 1e-30])
def test_a_single_value(value: float) -> None:
    histogram = Histogram()
    histogram.add(np.full(7, value, np.float32))
    (used,) = np.flatnonzero(histogram.counts)
    assert abs(histogram.centres[used] - value) <= max(histogram.width, 1e-6 * abs(value))
