"""Requantization by two products of 32 bits, for cores without longer ones, where that is exact.

    v = clamp(sum + bias, least, most)
    r = v * high + round(v * low / 2^split)
    y = (r + (below_zero if r < 0 else 0) + offset) >> shift

The clamp leaves all outputs and no more, which makes v short; it also is the activation. r is
round(v * multiplier / 2^split) with a multiplier = high * 2^split + low in two parts, so that
neither product needs more than 32 bits. `below_zero` is what TFLite's second rounding subtracts
from negative numbers, whose ties so round away from zero. Like the form of `one_step` it is a step
function of the sum that never falls, and the proof is the same: on both sides of each of TFLite's
at most 255 steps the outputs are equal, and nothing wraps in the range of sums that int8 inputs can
reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekit.graph.fixedpoint import INT32_MAX, INT32_MIN, Integers
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.one_step import LEVELS, first_sums, is_int32, reachable

_LARGEST_SPLIT = 20
_LARGEST_SHIFT = 22  # beyond it, 8 bits of output leave int32
_NEIGHBOURS = (0, 1, -1, 2, -2, 3, -3)  # multipliers that are tried


@dataclass(frozen=True, eq=False)
class TwoProducts:
    """The constants of each channel, (C,); `bias` is that of the sum."""

    bias: Integers
    least: Integers
    most: Integers
    below_zero: Integers
    offset: Integers
    high: Integers
    low: Integers
    split: Integers
    shift: Integers

    def words(self) -> Integers:
        """(8, C) what ek_two_products.h reads: all but the bias."""
        return np.stack([
            self.least, self.most, self.below_zero, self.offset,
            self.high, self.low, self.split, self.shift,
        ])  # fmt: skip


def two_products(terms: IntegerTerms, weights: Integers) -> TwoProducts | None:
    """The form of a layer; None where that of any channel cannot be proven exact.

    Args:
        weights: (C, K), whose products with any int8 values are summed.
    """
    low, high = reachable(weights)
    both = np.stack([low, high])
    if not is_int32((both + terms.bias) << np.maximum(terms.shift, 0)):
        return None
    first = first_sums(terms, low, high)
    is_step = (first > low) & (first <= high)
    is_fixed = ~is_step.any(axis=0)
    # A channel that reaches one output only needs no product, whatever its bias.
    bias = np.where(is_fixed, 0, terms.bias)
    real = np.where(is_fixed, 0.0, terms.multiplier * 2.0 ** (terms.shift - 31.0))
    least = np.where(is_fixed, 0, np.where(is_step, first, high).min(axis=0) - 1)
    most = np.where(is_fixed, 0, np.where(is_step, first, low).max(axis=0))
    largest = np.abs(np.stack([least, most]) + bias).max(axis=0)
    split = np.clip(32 - _bits(largest), 1, _LARGEST_SPLIT)
    shift = np.clip(30 - _bits(largest * real), 0, _LARGEST_SHIFT)
    below_zero = np.where(terms.shift < 0, -1 << np.maximum(shift + terms.shift, 0), 0)
    best = np.floor(np.ldexp(real, (split + shift).astype(np.int32)) + 0.5).astype(np.int64)
    multiplier, offset = best.copy(), np.zeros_like(best)
    is_open = np.ones(best.shape, bool)
    for more in _NEIGHBOURS:
        candidate = np.maximum(best + more, 0)

        def scaled(sums: Integers, multiplier: Integers = candidate) -> Integers:
            rounded = ((((sums + bias) * multiplier) >> (split - 1)) + 1) >> 1
            return rounded + np.where(rounded < 0, below_zero, 0)

        smallest, greatest = _offset_bounds(first, least, most, scaled, shift)
        found = is_open & (smallest <= greatest)
        multiplier = np.where(found, candidate, multiplier)
        offset = np.where(found, (smallest + greatest) >> 1, offset)
        is_open &= ~found
    # The nearest multiple of 2^split, so that the rest is the smallest.
    upper = (multiplier + (1 << split >> 1)) >> split
    lower = multiplier - (upper << split)
    fits = is_int32(largest * np.abs(lower)) and is_int32(upper)
    fits = fits and is_int32((largest * multiplier >> split) - below_zero + 1)
    if is_open.any() or not fits:
        return None
    return TwoProducts(
        bias, least + bias, most + bias, below_zero, offset, upper, lower, split, shift
    )


def _bits(values: Integers) -> Integers:
    """(C,) the smallest n with |values| < 2^n, at least 0."""
    return np.maximum(np.frexp(np.asarray(values, np.float64))[1], 0).astype(np.int64)


def _offset_bounds(
    first: Integers,
    least: Integers,
    most: Integers,
    scaled: Callable[[Integers], Integers],
    shift: Integers,
) -> tuple[Integers, Integers]:
    """The smallest and largest offset of each channel that gives every output, without wrapping.

    Args:
        first: (255, C) the first sum of each level.
        least, most: what sums are clamped to.
        scaled: r of a sum, with what is added below zero.
    """
    levels = LEVELS << shift
    # From its first sum on a level is reached, and by the sum before it is not.
    needed = np.where(first <= most, levels - scaled(np.clip(first, least, most)), INT32_MIN)
    allowed = np.where(
        first > least, levels - 1 - scaled(np.clip(first - 1, least, most)), INT32_MAX
    )
    smallest = np.maximum(needed.max(axis=0), INT32_MIN - scaled(least))
    greatest = np.minimum(allowed.min(axis=0), INT32_MAX - scaled(most))
    # Nothing may leave int8; LEVELS has no -128 and no 128.
    return (
        np.maximum(smallest, (-128 << shift) - scaled(least)),
        np.minimum(greatest, (128 << shift) - 1 - scaled(most)),
    )
