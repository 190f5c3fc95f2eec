"""The integer arithmetic TFLite's 8-bit kernels are made of, on whole NumPy arrays.

Integers enter as arrays (any integer type, values within int32), integers leave as int64 arrays
whose values are within int32. Names and rounding are those of gemmlowp's fixedpoint.h and TFLite's
kernels/internal/common.h in the double-rounding form that TFLite Micro and CMSIS-NN compile. Real
numbers are turned into a 31-bit multiplier and a shift as in Jacob et al. 2018, "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", section 2.2.
Refused: negative, infinite or undefined real multipliers.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedError
from edgekit.graph.ops import Activation

Integers = npt.NDArray[np.int64]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
Q31_ONE = INT32_MAX
"""1.0 in Q0.31, which cannot hold it exactly."""
# e^-1/8 and 1/3 in Q0.31; 48/17 and -32/17 (Newton's first guess of 1/x) in Q2.29.
_EXP_MINUS_ONE_EIGHTH = 1895147668
_ONE_THIRD = 715827883
_48_OVER_17 = 1515870810
_MINUS_32_OVER_17 = -1010580540
# exp(-2^e) in Q0.31 for e = -2 .. 4.
_EXP_MINUS_POWERS = {
    -2: 1672461947,
    -1: 1302514674,
    0: 790015084,
    1: 290630308,
    2: 39332535,
    3: 720401,
    4: 242,
}


# A factor of 2^31 and above asks for a left shift by 32.
_FACTORS_END = 2.0**31


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`real` as (multiplier, shift): real ~ multiplier * 2^(shift - 31).

    The multiplier is 0 or within [2^30, 2^31); a shift below -31 is flushed to the multiplier 0.
    Source: QuantizeMultiplier, tensorflow/lite/kernels/internal/quantization_util.cc.

    Raises:
        UnsupportedError: `real` is negative, not finite, or so large that kernels would shift
            32-bit numbers by more than their width.
    """
    multipliers, shifts = quantize_multipliers(np.array([real], np.float64))
    return int(multipliers[0]), int(shifts[0])


def quantize_multipliers(reals: npt.NDArray[np.float64]) -> tuple[Integers, Integers]:
    """`quantize_multiplier` of each element: (multipliers, shifts)."""
    wrong = reals[~((reals >= 0) & (reals < _FACTORS_END))]
    if len(wrong):
        raise UnsupportedError(
            f"A requantization factor of {wrong[0]} cannot be expressed.",
            hint="The input's scale is far too large for the output's, or one is not a number.",
        )
    fraction, exponent = np.frexp(reals)
    shift = exponent.astype(np.int64)
    # Round half up; exact, as the product has at most 31 + 22 bits.
    multiplier = np.floor(np.ldexp(fraction, 31) + 0.5).astype(np.int64)
    is_one = multiplier == 1 << 31
    multiplier, shift = np.where(is_one, 1 << 30, multiplier), shift + is_one
    vanishes = shift < -31
    return np.where(vanishes, 0, multiplier), np.where(vanishes, 0, shift)


def wrap_int32(x: npt.ArrayLike) -> Integers:
    """The value an int32 holds after overflowing to `x` (two's complement)."""
    wrapped: Integers = np.asarray(x, np.int64).astype(np.int32).astype(np.int64)
    return wrapped


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Integers:
    """round(a * b / 2^31) with ties upwards; INT32_MIN * INT32_MIN saturates.

    gemmlowp adds a nudge of 2^30 (or 1 - 2^30 where the product is negative) and divides with
    truncation; both cases equal floor(a * b / 2^31 + 1/2), which is one arithmetic shift.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    rounded: Integers = np.minimum((product + (1 << 30)) >> 31, INT32_MAX)
    return rounded


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Integers:
    """round(x / 2^exponent) with ties away from zero; exponent 0..31."""
    x = np.asarray(x, np.int64)
    exponent = np.asarray(exponent, np.int64)
    # floor((x + half) / 2^exponent), one less than half where x is negative; no half at exponent 0.
    half = (np.int64(1) << exponent) >> 1
    rounded: Integers = (x + half - ((x < 0) & (exponent > 0))) >> exponent
    return rounded


def saturating_rounding_multiply_by_pot(x: npt.ArrayLike, exponent: int) -> Integers:
    """x * 2^exponent, saturating to the left, rounding to the right; a Rescale in gemmlowp."""
    if exponent <= 0:
        return rounding_divide_by_pot(x, -exponent)
    raised: Integers = np.clip(np.asarray(x, np.int64) << exponent, INT32_MIN, INT32_MAX)
    return raised


def multiply_by_quantized_multiplier(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike
) -> Integers:
    """x * multiplier * 2^(shift - 31), rounded twice (first to 1/2^31, then by the right shift).

    A left shift that overflows int32 wraps, as the compiled kernels do.
    """
    shift = np.asarray(shift, np.int64)
    left = np.maximum(shift, 0)
    high = saturating_rounding_doubling_high_mul(
        wrap_int32(np.asarray(x, np.int64) << left), multiplier
    )
    return rounding_divide_by_pot(high, left - shift)


def exp_on_negative_values(x: npt.ArrayLike, integer_bits: int) -> Integers:
    """exp(x) in Q0.31 for x <= 0 in Q(integer_bits).(31 - integer_bits), integer_bits <= 5.

    x is split in a remainder within [-1/4, 0), whose exponential is a Taylor series about -1/8,
    and a sum of powers of two, each a factor from a table. Source: gemmlowp fixedpoint.h.
    """
    x = np.asarray(x, np.int64)
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    remainder = (x & (quarter - 1)) - quarter
    result = _exp_between_minus_quarter_and_0(remainder << integer_bits)
    powers = remainder - x
    for exponent, factor in _EXP_MINUS_POWERS.items():
        if exponent < integer_bits:
            present = (powers >> (fractional_bits + exponent)) & 1 == 1
            product = saturating_rounding_doubling_high_mul(result, factor)
            result = np.where(present, product, result)
    return np.where(x == 0, Q31_ONE, result)


def _exp_between_minus_quarter_and_0(x: Integers) -> Integers:
    """exp(x) for x in [-1/4, 0), Q0.31 in and out: e^-1/8 (1 + y + y^2/2 + y^3/6 + y^4/24)."""
    mul = saturating_rounding_doubling_high_mul
    y = x + (1 << 28)
    y2 = mul(y, y)
    y3 = mul(y2, y)
    y4_over_4 = rounding_divide_by_pot(mul(y2, y2), 2)
    tail = rounding_divide_by_pot(mul(y4_over_4 + y3, _ONE_THIRD) + y2, 1)
    return _EXP_MINUS_ONE_EIGHTH + mul(_EXP_MINUS_ONE_EIGHTH, y + tail)


def one_over_one_plus_x(x: npt.ArrayLike) -> Integers:
    """1 / (1 + x) for x in [0, 1), Q0.31 in and out, by three Newton-Raphson steps."""
    mul = saturating_rounding_doubling_high_mul
    # (x + 1) / 2; never negative here, so gemmlowp's half sum rounds ties upwards.
    half_denominator = (np.asarray(x, np.int64) + Q31_ONE + 1) >> 1
    guess = _48_OVER_17 + mul(half_denominator, _MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - mul(half_denominator, guess)
        guess = guess + saturating_rounding_multiply_by_pot(mul(guess, error), 2)
    return saturating_rounding_multiply_by_pot(guess, 1)


def logistic(x: npt.ArrayLike, integer_bits: int) -> Integers:
    """1 / (1 + exp(-x)) in Q0.31 for x in Q(integer_bits).(31 - integer_bits)."""
    x = np.asarray(x, np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(x), integer_bits))
    return np.where(x > 0, positive, np.where(x == 0, 1 << 30, Q31_ONE - positive))


def reciprocal(x: npt.ArrayLike, integer_bits: int) -> tuple[Integers, Integers]:
    """1/x for x > 0 in Q(integer_bits): (mantissa in Q0.31, bits by which x exceeds 1).

    Source: GetReciprocal, tensorflow/lite/kernels/internal/common.h.
    """
    x = np.asarray(x, np.int64)
    # frexp's exponent is the bit length, exact for integers below 2^53.
    headroom = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
    above_one = (x << headroom) - (1 << 31)
    return one_over_one_plus_x(above_one), integer_bits - headroom


def round_half_away(x: float) -> int:
    """C's round()."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def activation_range(
    activation: Activation, scale: float, zero_point: int, dtype: np.dtype[Any]
) -> tuple[int, int]:
    """The smallest and largest quantized value a fused activation lets through.

    Source: CalculateActivationRangeQuantized, tensorflow/lite/kernels/kernel_util.cc; the bounds
    are divided by the scale in float32 and rounded half away from zero.

    Raises:
        UnsupportedError: the scale is so small that a bound leaves int32.
    """
    limits = np.iinfo(dtype)
    low, high = int(limits.min), int(limits.max)
    bounds = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU6: (0.0, 6.0),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
    }[activation]

    def quantized(bound: float) -> int:
        steps = float(np.float32(bound) / np.float32(scale))
        if not abs(steps) <= INT32_MAX:
            raise UnsupportedError(
                f"{activation.value} cannot be expressed with the output scale {scale}.",
                hint="The range of this output was constant zero; calibrate with other samples.",
            )
        return zero_point + round_half_away(steps)

    if bounds[0] is not None:
        low = max(low, quantized(bounds[0]))
    if bounds[1] is not None:
        high = min(high, quantized(bounds[1]))
    return low, high
