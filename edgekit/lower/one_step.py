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

import numpy as np

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


def exponents(terms: IntegerTerms, weights: Integers) -> Integers:
    """(C,) the largest exponents, at most 8, at which no sum leaves int32."""
    largest = np.abs(np.stack(reachable(weights)) + terms.bias).max(axis=0)
    bits = 31 - np.frexp(largest.astype(np.float64))[1]
    return np.asarray(np.clip(bits, 0, MOST), np.int64)


def one_step(
    terms: IntegerTerms, weights: Integers, exponent: Integers | int = MOST
) -> OneStep | None:
    """The one-step form of a layer; None where that of any channel cannot be proven exact.

    Args:
        weights: (C, K), whose products with any int8 values are summed.
        exponent: of each channel, or of all.
    """
    low, high = reachable(weights)
    moved = (np.stack([low, high]) + terms.bias) << np.maximum(terms.shift, 0)
    if not is_int32(moved):
        return None
    first = first_sums(terms, low, high)
    is_constant = (first <= low) | (first > high)
    fixed = is_constant.all(axis=0)
    # A channel that reaches one output only needs no product, whatever its bias.
    bias = np.where(fixed, 0, terms.bias)
    real = np.where(fixed, 0.0, terms.multiplier * 2.0 ** (terms.shift - 31.0))
    if not is_int32((np.stack([low, high]) + bias) << exponent):
        return None
    shift = np.clip(exponent - 1 - np.where(fixed, 0, terms.shift), 0, _LARGEST_SHIFT)
    power = (32 - exponent + shift).astype(np.int32)
    best = np.floor(np.ldexp(real, power) + 0.5).astype(np.int64)
    if not is_int32(best):
        return None
    multiplier, offset = best.copy(), np.zeros_like(best)
    open_ = np.ones(best.shape, bool)
    for more in _NEIGHBOURS:
        candidate = np.maximum(best + more, 0)
        least, most = _offset_bounds(first, low, high, bias, candidate, shift, exponent)
        found = open_ & (least <= most)
        multiplier = np.where(found, candidate, multiplier)
        offset = np.where(found, np.clip((least + most) >> 1, least, most), offset)
        open_ &= ~found
    return None if open_.any() else OneStep(bias, multiplier, offset, shift)


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
    first: Integers,
    low: Integers,
    high: Integers,
    bias: Integers,
    multiplier: Integers,
    shift: Integers,
    exponent: Integers | int,
) -> tuple[Integers, Integers]:
    """The smallest and largest offset of each channel that gives every output, without wrapping."""

    def products(sums: Integers) -> Integers:
        return (((sums + bias) << exponent) * multiplier) >> 32

    levels = LEVELS << shift
    # From its first sum on a level is reached, and by the sum before it is not.
    needed = np.where(first <= high, levels - products(np.minimum(first, high)), INT32_MIN)
    allowed = np.where(first > low, levels - 1 - products(np.maximum(first - 1, low)), INT32_MAX)
    least = np.maximum(needed.max(axis=0), INT32_MIN - products(low))
    most = np.minimum(allowed.min(axis=0), INT32_MAX - products(high))
    return least, most


def is_int32(values: Integers) -> bool:
    """Whether none leaves int32."""
    return bool((values >= INT32_MIN).all() and (values <= INT32_MAX).all())
