"""Logistic, HardSwish, Relu and Relu6.

An 8-bit activation is a function of 256 values: it is computed once on all of them and looked up.
Sources of the integer arithmetic: integer_ops/logistic.h and hard_swish.h in
tensorflow/lite/kernels/internal/reference; {activations,hard_swish,logistic}_common.cc in
tensorflow/lite/micro/kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from edgekit.graph.fixedpoint import (
    Integers,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
)
from edgekit.graph.fixedpoint import logistic as fixed_point_logistic
from edgekit.graph.ops import Activation, HardSwish, Logistic, Relu, Relu6
from edgekit.graph.reference.call import Call, Values

_INT16_MIN, _INT16_MAX = -(1 << 15), (1 << 15) - 1
# The logistic's input is in Q4.27; outside the radius that allows, the output saturates.
_LOGISTIC_INTEGER_BITS = 4


def look_up(call: Call, function: Callable[[Integers], Integers]) -> Values:
    """Apply a function of raw 8-bit values: the table's index is the value's unsigned bits."""
    call.require_8_bit()
    kind = call.output_type
    every = np.arange(256, dtype=np.uint8).view(kind).astype(np.int64)
    limits = np.iinfo(kind)
    table = np.clip(function(every), limits.min, limits.max).astype(kind)
    indices = np.ascontiguousarray(call.values[0]).view(np.uint8)
    # Every index is valid; "wrap" only spares the check.
    return np.take(table, indices, mode="wrap")


def logistic(op: Logistic, call: Call) -> Values:
    """x -> 1 / (1 + exp(-x)); 8-bit output scale 1/256, zero point at the type's minimum."""
    if call.is_float:
        x = call.values[0]
        with np.errstate(over="ignore"):  # below -88 exp is infinite, and the quotient 0
            return np.float32(1) / (np.float32(1) + np.exp(-x))
    call.require_8_bit()
    scale, zero_point = call.per_tensor(call.inputs[0])
    minimum, maximum = np.iinfo(call.output_type).min, np.iinfo(call.output_type).max
    if call.per_tensor(call.output) != (1 / 256, minimum):
        raise call.refuse(f"needs the output scale 1/256 and zero point {minimum}")
    fractional_bits = 31 - _LOGISTIC_INTEGER_BITS
    multiplier, shift = quantize_multiplier(scale * (1 << fractional_bits))
    radius = math.floor(((1 << _LOGISTIC_INTEGER_BITS) - 1) * 2.0 ** (fractional_bits - shift))

    def function(raw: Integers) -> Integers:
        x = raw - zero_point
        inside = np.abs(x) < radius
        q4 = multiply_by_quantized_multiplier(np.where(inside, x, 0), multiplier, shift)
        q0 = fixed_point_logistic(q4, _LOGISTIC_INTEGER_BITS)
        result = rounding_divide_by_pot(q0, 31 - 8) + minimum
        return np.where(inside, result, np.where(x > 0, maximum, minimum))

    return look_up(call, function)


def hard_swish(op: HardSwish, call: Call) -> Values:
    """x -> x * relu6(x + 3) / 6; integer in 16-bit fixed point."""
    if call.is_float:
        x = call.values[0]
        gate = np.clip(x + np.float32(3), np.float32(0), np.float32(6))
        return x * gate / np.float32(6)
    call.require_8_bit()
    input_scale, input_zero_point = call.per_tensor(call.inputs[0])
    output_scale, output_zero_point = call.per_tensor(call.output)
    # The input is raised by 2^7; the kernel computes these two factors in float32.
    raised_scale = np.float32(1 / 128) * np.float32(input_scale)
    to_output = quantize_multiplier(float(raised_scale / np.float32(output_scale)))
    to_gate = quantize_multiplier(float(raised_scale / np.float32(3 / 32768)))
    if to_output[1] > 0:
        raise call.refuse("needs an output scale of at least 1/128 of its input's")

    def function(raw: Integers) -> Integers:
        raised = (raw - input_zero_point) << 7
        on_output_scale = _high_mul_int16(raised, _as_int16(to_output[0]))
        gate = _gate(raised, _as_int16(to_gate[0]), to_gate[1])
        # Truncating division: it cancels the bias of the rounding ones.
        product = gate * on_output_scale
        product = np.sign(product) * (np.abs(product) >> 15)
        return rounding_divide_by_pot(product, -to_output[1]) + output_zero_point

    return look_up(call, function)


def _gate(raised: Integers, multiplier: int, exponent: int) -> Integers:
    """relu6(x + 3) / 6 in Q0.15 (with 1.0 at 32767)."""
    gate = raised
    if exponent > 0:
        # Saturating here does not change the result: the last shift saturates what this one would.
        gate = _saturate_int16(gate << (exponent - 1))
    gate = _high_mul_int16(gate, multiplier)
    if exponent > 0:
        gate = _saturate_int16(gate << 1)
    elif exponent < 0:
        gate = rounding_divide_by_pot(gate, -exponent)
    return (gate + (1 << 15)) >> 1


def _as_int16(multiplier: int) -> int:
    """A 31-bit multiplier rounded to 15 bits (DownScaleInt32ToInt16Multiplier)."""
    return min((multiplier + (1 << 15)) >> 16, _INT16_MAX)


def _high_mul_int16(a: Integers, b: int) -> Integers:
    """round(a * b / 2^15) with ties upwards (16-bit SaturatingRoundingDoublingHighMul)."""
    return (a * b + (1 << 14)) >> 15


def _saturate_int16(x: Integers) -> Integers:
    return np.clip(x, _INT16_MIN, _INT16_MAX)


def relu(op: Relu, call: Call) -> Values:
    """x -> max(x, 0); an integer output may have its own scale and zero point."""
    if call.is_float:
        return np.maximum(call.values[0], np.float32(0))
    call.require_8_bit()
    input_scale, input_zero_point = call.per_tensor(call.inputs[0])
    output_scale, output_zero_point = call.per_tensor(call.output)
    multiplier, shift = quantize_multiplier(input_scale / output_scale)

    def function(raw: Integers) -> Integers:
        scaled = multiply_by_quantized_multiplier(raw - input_zero_point, multiplier, shift)
        return np.maximum(scaled, 0) + output_zero_point

    return look_up(call, function)


def relu6(op: Relu6, call: Call) -> Values:
    """x -> min(max(x, 0), 6); the integer kernel clamps raw values.

    So the output must be quantized as the input is (TFLite Micro does not check this and would
    mislabel its output).
    """
    if call.is_float:
        return np.clip(call.values[0], np.float32(0), np.float32(6))
    call.require_8_bit()
    call.require_same_quantization()
    scale, zero_point = call.per_tensor(call.output)
    low, high = activation_range(Activation.RELU6, scale, zero_point, call.output_type)
    return np.clip(call.values[0], low, high).astype(call.output_type)
