"""Quantize and Dequantize: between real numbers and integers, and between integer scales.

Sources: tensorflow/lite/kernels/internal/reference/quantize.h, requantize.h, dequantize.h.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from edgekit.graph.ir import DType
from edgekit.graph.ops import Dequantize, Quantize
from edgekit.graph.reference.call import Call, Values

_INTEGERS = (DType.INT8, DType.UINT8, DType.INT16)


def quantize(op: Quantize, call: Call) -> Values:
    """float -> round(x / scale) + zero point; integer -> rescaled by a quantized multiplier.

    The division is float32, ties round away from zero; both results saturate.
    """
    scale, zero_point = call.per_tensor(call.output)
    if call.output.dtype not in _INTEGERS:
        raise call.refuse(f"cannot write {call.output.dtype.value}")
    limits = np.iinfo(call.output_type)
    if call.inputs[0].dtype is DType.FLOAT32:
        steps = (call.values[0] / np.float32(scale)).astype(np.float64)
        steps = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
        return np.clip(steps + zero_point, limits.min, limits.max).astype(call.output_type)
    if call.inputs[0].dtype not in _INTEGERS:
        raise call.refuse(f"cannot read {call.inputs[0].dtype.value}")
    input_scale, input_zero_point = call.per_tensor(call.inputs[0])
    factor = quantize_multiplier(input_scale / scale)
    centred = call.values[0].astype(np.int64) - input_zero_point
    scaled = multiply_by_quantized_multiplier(centred, *factor) + zero_point
    return np.clip(scaled, limits.min, limits.max).astype(call.output_type)


def dequantize(op: Dequantize, call: Call) -> Values:
    """integer -> scale * (q - zero point), rounded once to float32."""
    if call.inputs[0].dtype not in _INTEGERS or call.output.dtype is not DType.FLOAT32:
        raise call.refuse("turns int8, uint8 and int16 into float32 only")
    scale, zero_point = call.per_tensor(call.inputs[0])
    centred = call.values[0].astype(np.int32) - np.int32(zero_point)
    return (centred * np.float64(scale)).astype(np.float32)
