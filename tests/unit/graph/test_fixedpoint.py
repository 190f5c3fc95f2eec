"""The integer primitives against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import UnsupportedError
from edgekit.graph import fixedpoint
from edgekit.graph.ops import Activation

INT32 = st.integers(fixedpoint.INT32_MIN, fixedpoint.INT32_MAX)
MULTIPLIER = st.integers(1 << 30, (1 << 31) - 1)


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def half_away(x: Fraction) -> int:
    return int(math.copysign(1, x)) * half_up(abs(x))


@given(st.floats(1e-9, 1e9))
def test_multiplier_is_the_nearest(real: float) -> None:
    multiplier, shift = fixedpoint.quantize_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    exact = Fraction(real) * Fraction(2) ** (31 - shift)
    assert abs(multiplier - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (1 - 2.0**-40, (1 << 30, 1)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),
        (1e-300, (0, 0)),
    ],
)
def test_multiplier_edges(real: float, expected: tuple[int, int]) -> None:
    assert fixedpoint.quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1e-9, math.inf, math.nan, 2.0**31, 1e300])
def test_impossible_multipliers_are_refused(real: float) -> None:
    with pytest.raises(UnsupportedError, match="cannot be expressed"):
        fixedpoint.quantize_multiplier(real)


@given(INT32, INT32)
def test_high_mul_rounds_half_up(a: int, b: int) -> None:
    expected = min(half_up(Fraction(a * b, 1 << 31)), fixedpoint.INT32_MAX)
    assert fixedpoint.saturating_rounding_doubling_high_mul(a, b) == expected


@given(INT32, st.integers(0, 31))
def test_division_by_power_rounds_half_away(x: int, exponent: int) -> None:
    expected = half_away(Fraction(x, 1 << exponent))
    assert fixedpoint.rounding_divide_by_pot(x, exponent) == expected


@given(INT32, MULTIPLIER, st.integers(-31, 0))
def test_right_shifts_round_twice(x: int, multiplier: int, shift: int) -> None:
    once = half_up(Fraction(x * multiplier, 1 << 31))
    expected = half_away(Fraction(once, 1 << -shift))
    assert fixedpoint.multiply_by_quantized_multiplier(x, multiplier, shift) == expected


def test_left_shifts_wrap() -> None:
    # 3 << 30 is 3221225472, which an int32 holds as -1073741824.
    result = fixedpoint.multiply_by_quantized_multiplier(3, 1 << 30, 30)
    assert result == -(1 << 29)


@given(st.integers(0, 1 << 31))
def test_exponential_is_near(raw: int) -> None:
    x = -raw
    result = int(fixedpoint.exp_on_negative_values(x, 5)) / 2**31
    assert result == pytest.approx(math.exp(x / 2**26), abs=1e-6)


@given(INT32)
def test_logistic_is_near(x: int) -> None:
    result = int(fixedpoint.logistic(x, 4)) / 2**31
    assert result == pytest.approx(1 / (1 + math.exp(-x / 2**27)), abs=1e-6)


@given(st.integers(1, fixedpoint.INT32_MAX))
def test_reciprocal_is_near(x: int) -> None:
    mantissa, above_one = fixedpoint.reciprocal(x, 12)
    result = int(mantissa) / 2**31 / 2.0 ** int(above_one)
    assert result == pytest.approx(1 / (x / 2**19), rel=1e-7)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        (Activation.NONE, (-128, 127)),
        (Activation.RELU, (-10, 127)),
        (Activation.RELU6, (-10, 50)),
        (Activation.RELU_N1_TO_1, (-20, 0)),
    ],
)
def test_activation_range(activation: Activation, expected: tuple[int, int]) -> None:
    assert fixedpoint.activation_range(activation, 0.1, -10, np.dtype(np.int8)) == expected


def test_activation_range_stays_in_the_type() -> None:
    assert fixedpoint.activation_range(Activation.RELU6, 1e-3, -128, np.dtype(np.int8)) == (
        -128,
        127,
    )


def test_vanishing_scale_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="RELU6 cannot be expressed"):
        fixedpoint.activation_range(Activation.RELU6, 1e-12, 0, np.dtype(np.int8))
