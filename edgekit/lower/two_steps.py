"""Requantization by both roundings of TFLite, in five instructions, for any linear output.

    h = round_half_up(2^exponent * (sum + bias) * multiplier / 2^32)
    y = saturate_int8((((h + (h >> 31)) >> shift) + offset) >> 1)

is SMMULR, ADD, ASR, ADD, SSAT. With exponent = 1 + left shift the first line is gemmlowp's
SaturatingRoundingDoublingHighMul; the second is its RoundingDivideByPOT by 2^(shift + 1) and the
zero point, as offset = 1 + 2 * zero_point. It is exact by construction: all that is to be proven is
that nothing leaves int32 and that the clamps are those of int8. `one_step` takes two instructions
less, where it is exact.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import INT32_MAX, INT32_MIN, Integers
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.one_step import MOST, OneStep


def two_steps(
    terms: IntegerTerms, low: Integers, high: Integers
) -> tuple[OneStep, Integers] | None:
    """The constants of each channel and its exponent; None where this form does not hold.

    Args:
        low: the smallest sum of products that a channel reaches.
        high: and the largest.
    """
    exponent = 1 + np.maximum(terms.shift, 0)
    # A multiplier of 0 comes with a shift of 0; any other gives the same.
    right = np.where(terms.multiplier == 0, 1, np.maximum(-terms.shift, 0))
    sums = (np.stack([low, high]) + terms.bias) << exponent
    is_exact = (
        (terms.low, terms.high) == (-128, 127)
        and bool((right >= 1).all() and (exponent <= MOST).all())
        and bool((sums >= INT32_MIN).all() and (sums <= INT32_MAX).all())
    )
    if not is_exact:
        return None
    offset = np.full_like(right, 1 + 2 * terms.zero_point)
    return OneStep(terms.bias, terms.multiplier, offset, right - 1), exponent
