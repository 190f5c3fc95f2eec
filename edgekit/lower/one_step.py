"""Requantization in one multiplication, one addition and one saturating shift, where that is exact.

    y = saturate_int8((high32(2^exponent * (sum + bias) * multiplier) + offset) >> shift)

stands for both roundings, zero point and clamps of TFLite's

    y = clamp(zero_point + MultiplyByQuantizedMultiplier(sum + bias)).

Each is a step function of the sum that never falls: every part of it never falls, and nothing wraps
in the range of sums that int8 inputs can reach. So the two are equal over that range if they are
equal on both sides of each of the at most 255 steps and at the range's ends. Each step bounds the
offset from below and from above, and an offset within all bounds is the proof for its channel.

One always exists where the output's zero point is its lower clamp, as after a ReLU: only sums >= 0
matter then, and for them both roundings are one, as floor((floor(a / 2^31) + c) / 2^e) is
floor((a + c 2^31) / 2^(31 + e)). Of others (ties of negative numbers round away from zero there)
some channels have one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    multiply_by_quantized_multiplier,
)
from edgekit.graph.reference.layer import IntegerTerms

LEVELS = np.arange(-127, 128)[:, None]  # above the lowest output, each begins with a step
MOST = 8  # exponent: more would not fit halfwords of weights
_LARGEST_SHIFT = 22  # beyond it, 8 bits of output leave int32
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)  # multipliers that are tried


@dataclass(frozen=True, eq=False)
class OneStep:
    """The constants of each channel, (C,); `bias` is that of the sum, not yet times 2^exponent."""

    bias: Integers
    multiplier: Integers
    offset: Integers
    shift: Integers


@dataclass(frozen=True, eq=False)
class SignedStep(OneStep):
    """One more constant: `jump`, (C,), at most 0, is added to the offset of negative sums."""

    jump: Integers


@dataclass(frozen=True, eq=False)
class _Steps:
    """The step function of each channel over the sums that it reaches, and what is to be scaled.

    Attributes:
        low, high: (C,) the smallest and largest sum of products.
        first: (255, C) the first sum with an output of at least -127, ... 127; else high + 1.
        bias: (C,) as in `OneStep`.
        real: (C,) the factor from a sum to an output.
    """

    low: Integers
    high: Integers
    first: Integers
    bias: Integers
    real: npt.NDArray[np.float64]


def exponents(terms: IntegerTerms, weights: Integers) -> Integers:
    """(C,) the largest exponents, at most 8, at which no sum leaves int32."""
    largest = np.abs(np.stack(reachable(weights)) + terms.bias).max(axis=0)
    bits = 31 - np.frexp(largest.astype(np.float64))[1]
    return np.asarray(np.clip(bits, 0, MOST), np.int64)


def one_step(
    terms: IntegerTerms,
    weights: Integers,
    exponent: Integers | int = MOST,
    shift: int | None = None,
) -> OneStep | None:
    """The one-step form of a layer; None where that of any channel cannot be proven exact.

    Args:
        weights: (C, K), whose products with any int8 values are summed.
        exponent: of each channel, or of all.
        shift: that all channels are to share; without it each has the most exact.
    """
    steps = _steps(terms, weights, exponent)
    if steps is None:
        return None
    shifts = _shifts(terms, steps, exponent) if shift is None else np.full_like(steps.bias, shift)
    best = _multipliers(steps, shifts, exponent)
    if best is None:
        return None
    multiplier, offset = best.copy(), np.zeros_like(best)
    open_ = np.ones(best.shape, bool)
    for more in _NEIGHBOURS:
        candidate = np.clip(best + more, 0, INT32_MAX)
        least, most = _offset_bounds(steps, candidate, shifts, exponent)
        found = open_ & (least <= most)
        multiplier = np.where(found, candidate, multiplier)
        offset = np.where(found, np.clip((least + most) >> 1, least, most), offset)
        open_ &= ~found
    return None if open_.any() else OneStep(steps.bias, multiplier, offset, shifts)


def signed_step(
    terms: IntegerTerms, weights: Integers, exponent: Integers | int = MOST
) -> SignedStep | None:
    """The form with one offset for sums >= 0 and one for negative ones, which linear outputs have.

    Ties of negative numbers round away from zero, one unit of the first rounding later than those
    of positive ones: both sides are one rounding each, with offsets that differ. The bounds of
    either come from the sums on its side; as the jump is not positive, nothing falls between them.
    None where that of any channel cannot be proven exact.
    """
    steps = _steps(terms, weights, exponent)
    if steps is None:
        return None
    shifts = _shifts(terms, steps, exponent)
    multiplier = _multipliers(steps, shifts, exponent)
    if multiplier is None:
        return None
    least, most = _offset_bounds(steps, multiplier, shifts, exponent, side=1)
    offset = np.clip((least + most) >> 1, least, most)
    below, above = _offset_bounds(steps, multiplier, shifts, exponent, side=-1)
    negative = np.minimum(np.clip((below + above) >> 1, below, above), offset)
    if (least > most).any() or (negative < below).any() or (negative > above).any():
        return None
    jump = negative - offset
    if not is_int32(jump):
        return None
    return SignedStep(steps.bias, multiplier, offset, shifts, jump)


def _steps(terms: IntegerTerms, weights: Integers, exponent: Integers | int) -> _Steps | None:
    """None where a sum leaves int32, in TFLite's arithmetic or with the exponent."""
    low, high = reachable(weights)
    moved = (np.stack([low, high]) + terms.bias) << np.maximum(terms.shift, 0)
    if not is_int32(moved):
        return None
    first = first_sums(terms, low, high)
    # A channel that reaches one output only needs no product, whatever its bias.
    fixed = ((first <= low) | (first > high)).all(axis=0)
    bias = np.where(fixed, 0, terms.bias)
    if not is_int32((np.stack([low, high]) + bias) << exponent):
        return None
    real = np.where(fixed, 0.0, terms.multiplier * 2.0 ** (terms.shift - 31.0))
    return _Steps(low, high, first, bias, real)


def _shifts(terms: IntegerTerms, steps: _Steps, exponent: Integers | int) -> Integers:
    """Those that leave multipliers all their bits."""
    return np.clip(
        exponent - 1 - np.where(steps.real == 0, 0, terms.shift), 0, _LARGEST_SHIFT
    ).astype(np.int64)


def _multipliers(steps: _Steps, shift: Integers, exponent: Integers | int) -> Integers | None:
    best = np.floor(np.ldexp(steps.real, (32 - exponent + shift).astype(np.int32)) + 0.5)
    return best.astype(np.int64) if is_int32(best) else None


def reachable(weights: Integers) -> tuple[Integers, Integers]:
    """The smallest and largest sum of products with any int8 values, of each channel."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return negative * 127 - positive * 128, positive * 127 - negative * 128


def first_sums(terms: IntegerTerms, low: Integers, high: Integers) -> Integers:
    """(255, C) the first sum whose output is at least -127, ... 127; high + 1 where none is."""
    below = np.broadcast_to(low, (len(LEVELS), len(low))).copy()
    above = np.broadcast_to(high + 1, below.shape).copy()
    while (below < above).any():
        middle = (below + above) >> 1
        scaled = multiply_by_quantized_multiplier(
            middle + terms.bias, terms.multiplier, terms.shift
        )
        is_reached = np.clip(scaled + terms.zero_point, terms.low, terms.high) >= LEVELS
        is_open = below < above
        above = np.where(is_open & is_reached, middle, above)
        below = np.where(is_open & ~is_reached, middle + 1, below)
    return below


def _offset_bounds(
    steps: _Steps,
    multiplier: Integers,
    shift: Integers,
    exponent: Integers | int,
    side: int = 0,
) -> tuple[Integers, Integers]:
    """The smallest and largest offset of each channel that gives every output, without wrapping.

    Args:
        side: -1 for the bounds by negative sums (bias included), 1 by the others, 0 by all.
    """

    def products(sums: Integers) -> Integers:
        return (((sums + steps.bias) << exponent) * multiplier) >> 32

    def binds(sums: Integers) -> npt.NDArray[np.bool_]:
        is_negative = sums + steps.bias < 0
        return is_negative if side < 0 else ~is_negative if side > 0 else np.ones_like(is_negative)

    first, low, high = steps.first, steps.low, steps.high
    levels = LEVELS << shift
    # From its first sum on a level is reached, and by the sum before it is not.
    is_needed = (first <= high) & binds(first)
    needed = np.where(is_needed, levels - products(np.minimum(first, high)), INT32_MIN)
    is_barred = (first > low) & binds(first - 1)
    allowed = np.where(is_barred, levels - 1 - products(np.maximum(first - 1, low)), INT32_MAX)
    least = np.maximum(needed.max(axis=0), INT32_MIN - products(low))
    most = np.minimum(allowed.min(axis=0), INT32_MAX - products(high))
    return least, most


def is_int32(values: npt.NDArray[Any]) -> bool:
    """Whether none leaves int32."""
    return bool((values >= INT32_MIN).all() and (values <= INT32_MAX).all())
