"""Softmax over the last axis.

Source of the integer arithmetic: tensorflow/lite/kernels/internal/reference/softmax.h and
PreprocessSoftmaxScaling, quantization_util.cc.
"""

from __future__ import annotations

import math

import numpy as np

from edgekit.graph.fixedpoint import (
    Integers,
    exp_on_negative_values,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    reciprocal,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from edgekit.graph.ops import Softmax
from edgekit.graph.reference.call import Call, Values

# Differences to the maximum in Q5.26, their exponentials summed in Q12.19.
_DIFFERENCE_BITS = 5
_SUM_BITS = 12


def softmax(op: Softmax, call: Call) -> Values:
    """x -> exp(beta x) / sum(exp(beta x)); 8-bit output scale 1/256, zero point the minimum."""
    x = call.values[0]
    if call.is_float:
        powers = np.exp((x - x.max(axis=-1, keepdims=True)) * np.float32(op.beta))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
    table = exponentials(op, call)
    values = x.astype(np.int64)
    powers = table[values.max(axis=-1, keepdims=True) - values]
    minimum = int(np.iinfo(call.output_type).min)
    total = rounding_divide_by_pot(powers, _SUM_BITS).sum(axis=-1, keepdims=True)
    mantissa, above_one = reciprocal(total, _SUM_BITS)
    quotient = saturating_rounding_doubling_high_mul(mantissa, powers)
    result = rounding_divide_by_pot(quotient, above_one + 31 - 8) + minimum
    return np.clip(result, minimum, minimum + 255).astype(call.output_type)


def exponentials(op: Softmax, call: Call) -> Integers:
    """exp(beta * scale * -d) for d = 0 .. 255 in Q0.31; 0 beyond the input's radius.

    There are 256 differences to the maximum: kernels look their exponentials up.

    Raises:
        UnsupportedError: no TFLite kernel computes this softmax.
    """
    call.require_8_bit()
    scale = call.per_tensor(call.inputs[0])[0]
    minimum = int(np.iinfo(call.output_type).min)
    if call.per_tensor(call.output) != (1 / 256, minimum):
        raise call.refuse(f"needs the output scale 1/256 and zero point {minimum}")
    depth = call.inputs[0].shape[-1]
    if depth >= 1 << _SUM_BITS:
        raise call.refuse(f"sums {depth} exponentials, more than its 12 bits can hold")
    fractional_bits = 31 - _DIFFERENCE_BITS
    beta_scale = np.float32(op.beta).item() * scale
    real = min(beta_scale * (1 << fractional_bits), (1 << 31) - 1.0)
    if real <= 1:
        raise call.refuse("needs a larger input scale or beta")
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor(((1 << _DIFFERENCE_BITS) - 1) * 2.0 ** (fractional_bits - shift))
    difference = -np.arange(256, dtype=np.int64)
    is_near = difference >= -radius
    q5 = multiply_by_quantized_multiplier(np.where(is_near, difference, 0), multiplier, shift)
    return np.where(is_near, exp_on_negative_values(q5, _DIFFERENCE_BITS), 0)
