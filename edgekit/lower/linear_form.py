"""An output of two bytes as a sum of products of them, where that is exact.

    output = top byte of saturate_int32((a * a_factor + b * b_factor + offset) << shift)

TFLite rounds each operand, and then their sum. There are only 65,536 pairs of bytes: factors are
tried, and taken if an offset exists with which every pair gives TFLite's output. Each of the
outputs' 255 steps bounds the offset: sums that reach a level must not stay below it, the others
must. Factors a little larger than the ratios part ties as TFLite does, away from zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from edgekit.graph.fixedpoint import INT32_MAX, INT32_MIN, Integers
from edgekit.graph.ir import Array

_TOP = 24  # bits below the top byte
_LEVELS = np.arange(-127, 128)
_NEIGHBOURS = (0, 1, -1, 2, -2)  # of a factor, that are tried


@dataclass(frozen=True)
class LinearForm:
    """The constants; `factors` are those of a and b."""

    factors: tuple[int, int]
    offset: int
    shift: int


def linear_form(values: Array, outputs: Array, a_ratio: float, b_ratio: float) -> LinearForm | None:
    """The form of a table of outputs; None where none was found.

    Args:
        values: (V,) those of either operand.
        outputs: (V, V), of each a and each b.
        a_ratio, b_ratio: the steps of the output that a step of a and of b is worth.
    """
    column = values.astype(np.int64)
    # The largest sum, with its offset, stays within int32.
    largest = 128 * (abs(a_ratio) + abs(b_ratio)) + 256
    most = 31 - math.ceil(math.log2(largest))
    for bits in range(most, max(most - 2, 0), -1):
        best = [round(ratio * 2.0**bits) for ratio in (a_ratio, b_ratio)]
        for a_more, b_more in product(_NEIGHBOURS, repeat=2):
            factors = (best[0] + a_more, best[1] + b_more)
            sums = column[:, None] * factors[0] + column * factors[1]
            offset = _offset(sums, outputs, bits)
            if offset is not None:
                return LinearForm(factors, offset, _TOP - bits)
    return None


def _offset(sums: Integers, outputs: Array, bits: int) -> int | None:
    """What added to the sums gives each output above `bits` bits; None if nothing does."""
    smallest, largest = np.full(256, np.iinfo(np.int64).max), np.full(256, np.iinfo(np.int64).min)
    index = outputs.astype(np.int64).reshape(-1) + 128
    np.minimum.at(smallest, index, sums.reshape(-1))
    np.maximum.at(largest, index, sums.reshape(-1))
    reaching = np.minimum.accumulate(smallest[::-1])[::-1][1:]  # the least sum of a level or more
    below = np.maximum.accumulate(largest)[:-1]
    levels = _LEVELS << bits
    is_reached, is_missed = reaching < np.iinfo(np.int64).max, below > np.iinfo(np.int64).min
    least = max(INT32_MIN - int(sums.min()), *(levels - reaching)[is_reached].tolist())
    most = min(INT32_MAX - int(sums.max()), *(levels - 1 - below)[is_missed].tolist())
    return (least + most) >> 1 if least <= most else None
