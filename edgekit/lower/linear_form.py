"""An output as a sum of products, where that is exact.

    output = top byte of saturate_int32((a * a_factor + b * b_factor + offset) << shift)

stands for TFLite's addition, which rounds each operand and then their sum, and with one operand, a
sum, for average pooling. There are only 65,536 pairs of bytes, or as many sums: factors are tried,
and taken if an offset exists with which every one of them gives TFLite's output. Each of the
outputs' 255 steps bounds the offset: what reaches a level must not stay below it, the rest must.
Factors a little larger than the ratios part ties as TFLite does, away from zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    """The constants; `factors` are the operands'."""

    factors: tuple[int, ...]
    offset: int
    shift: int


def linear_form(
    operands: Sequence[Array], outputs: Array, ratios: Sequence[float], shift: int | None = None
) -> LinearForm | None:
    """The form of a table of outputs; None where none was found.

    Args:
        operands: their values; broadcast together they have the shape of the outputs.
        outputs: int8.
        ratios: the steps of the output that a step of each operand is worth.
        shift: the only one that will do; by default any.
    """
    values = [np.asarray(operand, np.int64) for operand in operands]
    largest = 256 + sum(
        abs(ratio) * int(np.abs(value).max()) for ratio, value in zip(ratios, values, strict=True)
    )
    most = 31 - math.ceil(math.log2(largest))  # the sum, with its offset, stays within int32
    wanted = range(most, max(most - 2, 0), -1) if shift is None else (_TOP - shift,)
    for bits in (bits for bits in wanted if bits <= most):
        for more in product(_NEIGHBOURS, repeat=len(values)):
            factors = tuple(
                round(ratio * 2.0**bits) + n for ratio, n in zip(ratios, more, strict=True)
            )
            terms = [value * factor for value, factor in zip(values, factors, strict=True)]
            offset = _offset(np.asarray(sum(terms), np.int64), outputs, bits)
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
