"""Requantization in vectors: TFLite's two roundings, the output in the top byte of each lane.

    x = round(sum_with_bias * multiplier / 2^31)                                  VQRDMULH
    x = x - 1 where x is negative, unless the layer is plain                      VADD, predicated
    output = top byte of saturate_int32((x + offset) << (24 - exponent))          VADD, VQSHL

is clamp(zero_point + MultiplyByQuantizedMultiplier(sum)) with offset = zero_point * 2^exponent +
half: the first line is gemmlowp's high multiplication; the second makes the half that follows round
ties away from zero; saturating 32 bits saturates their top byte, and the bits below it are what a
right shift drops. It stands for every sum between two proven ends, where nothing leaves int32.

A layer is plain if its outputs' zero point is not above the lower clamp, as after a ReLU: ties of
negative numbers then give an output that is clamped, however they are rounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.graph.fixedpoint import (
    INT32_MAX,
    INT32_MIN,
    Integers,
    multiply_by_quantized_multiplier,
    saturating_rounding_doubling_high_mul,
)
from edgekit.graph.ir import Array
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.one_step import reachable
from edgekit.lower.program import Value

_TOP = 24  # bits below the top byte


@dataclass(frozen=True, eq=False)
class TopByte:
    """The constants of each channel, (C,), as `ek_top_byte` holds them, and those of the layer.

    Attributes:
        is_plain: outputs are exact without the second line above, and without clamps.
        low, high: the clamps.
    """

    bias: Integers
    multiplier: Integers
    offset: Integers
    shift: Integers
    is_plain: bool
    low: int
    high: int

    @property
    def rows(self) -> Array:
        """(C, 4) words: bias, multiplier, offset, shift."""
        columns = [self.bias, self.multiplier, self.offset, self.shift]
        return np.stack(columns, axis=1).astype(np.int32)

    @property
    def fields(self) -> dict[str, Value]:
        """What kernels are told of the layer."""
        return {
            "is_plain": int(self.is_plain),
            "output_min": self.low,
            "output_max": self.high,
        }


def top_byte(terms: IntegerTerms, weights: Integers) -> TopByte | None:
    """The constants of a layer; None where those of any channel are not exact.

    Args:
        weights: (C, K), whose products with any int8 values are summed.
    """
    sums = np.stack(reachable(weights)) + terms.bias
    if not _is_int32(sums << np.maximum(terms.shift, 0)):
        return None
    ends = [_output(terms, end) for end in sums]
    # Outputs never fall as sums grow: a channel with equal ends has one output, its offset alone.
    is_constant = ends[0] == ends[1]
    exponent = np.where(is_constant, 0, -terms.shift)
    multiplier = np.where(is_constant, 0, terms.multiplier)
    half = (np.int64(1) << np.maximum(exponent, 0)) >> 1
    offset = np.where(is_constant, ends[0], half + (terms.zero_point << np.maximum(exponent, 0)))
    scaled = saturating_rounding_doubling_high_mul(sums, multiplier)
    is_plain = terms.zero_point <= terms.low == -128 and terms.high == 127
    if exponent.min() < 0 or not _is_int32(np.stack([scaled - 1, scaled]) + offset):
        return None
    if not is_plain and ((exponent == 0) & (scaled[0] < 0)).any():
        return None  # without a shift there is no tie to round
    bias = np.where(is_constant, 0, terms.bias)
    return TopByte(bias, multiplier, offset, _TOP - exponent, is_plain, terms.low, terms.high)


def _output(terms: IntegerTerms, sums: Integers) -> Integers:
    scaled = multiply_by_quantized_multiplier(sums, terms.multiplier, terms.shift)
    return np.clip(scaled + terms.zero_point, terms.low, terms.high)


def _is_int32(values: Integers) -> bool:
    return bool((values >= INT32_MIN).all() and (values <= INT32_MAX).all())
