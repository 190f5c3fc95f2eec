"""The fast requantization equals its definition on the numbers where it could go wrong."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier
from edgekit.graph.reference.rescale import Requantize


def requantize(
    x: npt.NDArray[np.int64], multiplier: int, shift: int, zero_point: int, low: int, high: int
) -> npt.NDArray[np.int8]:
    finish = Requantize(
        bias=np.zeros(1, np.int64),
        multiplier=np.array([multiplier]),
        shift=np.array([shift]),
        zero_point=zero_point,
        low=low,
        high=high,
        largest=np.abs(x).max(keepdims=True).astype(np.float64),
    )
    out = np.empty((len(x), 1), np.int8)
    finish(x.astype(np.float64)[:, None], out)
    return out[:, 0]


def near_steps(multiplier: int, shift: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Accumulators on both sides of every step of the output, and others."""
    steps = (np.arange(-300, 300) + 0.5) * 2.0 ** (31 - shift) / multiplier
    around = np.rint(steps)[:, None] + np.arange(-2, 3)
    x = np.concatenate([around.reshape(-1), rng.integers(-(2**24), 2**24, 2000), np.arange(-9, 9)])
    return np.clip(x, -(2.0**31), 2.0**31 - 1).astype(np.int64)


@pytest.mark.parametrize("shift", range(-22, 4))
@pytest.mark.parametrize(("zero_point", "low"), [(0, -128), (-128, -128), (100, -128), (5, 5)])
def test_equals_the_definition(zero_point: int, low: int, shift: int) -> None:
    rng = np.random.default_rng([zero_point + 128, low + 128, shift + 31])
    # Multipliers with few bits make exact ties; 2^30 is the smallest.
    special = [1 << 30, 3 << 29, (1 << 31) - 1, (1 << 30) + (1 << 20)]
    for multiplier in [*special, *rng.integers(1 << 30, 1 << 31, 12).tolist()]:
        x = near_steps(multiplier, shift, rng)
        if shift > 0:
            x = x[np.abs(x) < 2 ** (30 - shift)]
        scaled = multiply_by_quantized_multiplier(x, multiplier, shift)
        expected = np.clip(scaled + zero_point, low, 127)
        actual = requantize(x, multiplier, shift, zero_point, low, 127)
        np.testing.assert_array_equal(actual, expected)


def test_the_fast_path_is_taken_where_it_is_proven_and_only_there() -> None:
    def is_affine(shift: int, largest: float) -> bool:
        return Requantize(
            bias=np.zeros(1, np.int64),
            multiplier=np.array([1 << 30]),
            shift=np.array([shift]),
            zero_point=0,
            low=-128,
            high=127,
            largest=np.array([largest]),
        )._is_affine

    assert is_affine(-8, 2.0**23) and is_affine(0, 2.0**30) and is_affine(-20, 2.0**20)
    assert not is_affine(1, 10) and not is_affine(-8, 2.0**31) and not is_affine(-20, 2.0**28)


def test_channels_are_kept_apart() -> None:
    rng = np.random.default_rng(3)
    channels = 7
    bias = rng.integers(-1000, 1000, channels)
    multiplier, shift = rng.integers(1 << 30, 1 << 31, channels), rng.integers(-9, -5, channels)
    x = rng.integers(-30000, 30000, (5, 3, channels))
    finish = Requantize(
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        zero_point=3,
        low=-128,
        high=127,
        largest=np.full(channels, 31000.0),
    )
    out = np.empty(x.shape, np.int8)
    finish(x.astype(np.float32), out)
    for c in range(channels):
        scaled = multiply_by_quantized_multiplier(x[..., c] + bias[c], multiplier[c], shift[c])
        np.testing.assert_array_equal(out[..., c], np.clip(scaled + 3, -128, 127))
