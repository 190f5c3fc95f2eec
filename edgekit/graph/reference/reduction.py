"""Mean over any axes.

Source of the integer arithmetic: QuantizedMeanOrSum,
tensorflow/lite/kernels/internal/reference/reduce.h.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap_int32,
)
from edgekit.graph.ops import Mean
from edgekit.graph.reference.call import Call, Values


def mean(op: Mean, call: Call) -> Values:
    """x, axes (int32 constant) -> mean over those axes (negative ones count from the end).

    Integer: sum(x) - count * input zero point, rescaled by a multiplier that has 1/count in it.
    """
    x = call.values[0]
    axes = reduced_axes(call)
    if call.is_float:
        return np.asarray(x.mean(axis=axes, dtype=np.float32, keepdims=op.keep_dims))
    call.require_8_bit()
    input_zero_point = call.per_tensor(call.inputs[0])[1]
    output_zero_point = call.per_tensor(call.output)[1]
    count = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
    multiplier, shift = mean_multiplier(call, count)
    sums = x.sum(axis=axes, dtype=np.int64, keepdims=op.keep_dims) - count * input_zero_point
    scaled = multiply_by_quantized_multiplier(wrap_int32(sums), multiplier, shift)
    limits = np.iinfo(call.output_type)
    return np.clip(scaled + output_zero_point, limits.min, limits.max).astype(call.output_type)


def reduced_axes(call: Call) -> tuple[int, ...]:
    """The axes, counted from the front, each once."""
    rank = len(call.inputs[0].shape)
    return tuple(sorted({int(axis) % rank for axis in call.values[1].reshape(-1)}))


def mean_multiplier(call: Call, count: int) -> tuple[int, int]:
    """(multiplier, shift) from a sum of `count` values to the output's steps."""
    factor = call.per_tensor(call.inputs[0])[0] / call.per_tensor(call.output)[0]
    return _with_division(*quantize_multiplier(factor), count)


def _with_division(multiplier: int, shift: int, count: int) -> tuple[int, int]:
    """The multiplier over `count`, shifted up first as far as the count has bits.

    The shift keeps the quotient's precision; it stops where the right shift would pass 31.
    """
    up = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << up) // count, shift - up
