"""Ops that move values without computing: reshape, pad, join, split, transpose.

Values keep their raw integers, so outputs must be quantized as their inputs are; joining uint8
tensors of different scales is the one exception TFLite defines.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.ir import DType, Tensor
from edgekit.graph.ops import (
    Activation,
    Concatenation,
    ExpandDims,
    Pad,
    PadV2,
    Reshape,
    Split,
    Squeeze,
    Transpose,
)
from edgekit.graph.reference.call import Call, Values


def reshape(op: Reshape | Squeeze | ExpandDims, call: Call) -> Values:
    """x -> the same elements in the output tensor's shape (its leading 1 may hold a batch)."""
    shape = call.output.shape
    if call.values[0].size != call.output.elements:
        shape = (len(call.values[0]), *shape[1:])
    return call.values[0].reshape(shape)


def transpose(op: Transpose, call: Call) -> Values:
    """x, permutation (int32 constant) -> x with its dimensions in that order."""
    permutation = [int(axis) for axis in call.values[1]]
    return np.ascontiguousarray(call.values[0].transpose(permutation))


def split(op: Split, call: Call) -> tuple[Values, ...]:
    """axis (int32 constant), x -> equal parts along that axis."""
    axis, x = int(call.values[0].reshape(-1)[0]), call.values[1]
    if x.shape[axis] % op.splits:
        raise call.refuse(f"cannot split {x.shape[axis]} elements in {op.splits} equal parts")
    return tuple(np.ascontiguousarray(part) for part in np.split(x, op.splits, axis))


def pad(op: Pad, call: Call) -> Values:
    """x, paddings (rank, 2) -> x with real 0 (the zero point) around it."""
    if call.output.quantization is None:
        return _padded(call, 0)
    return _padded(call, call.per_tensor(call.output)[1])


def pad_v2(op: PadV2, call: Call) -> Values:
    """x, paddings (rank, 2), constant (1 element) -> x with the constant around it."""
    return _padded(call, call.values[2].reshape(-1)[0])


def _padded(call: Call, fill: int | float | np.generic) -> Values:
    x = call.values[0]
    widths = call.values[1].reshape(-1, 2).astype(np.int64)
    if (widths < 0).any() or len(widths) != x.ndim:
        raise call.refuse("needs a pair of widths, 0 or more, for each dimension")
    return np.pad(x, widths, constant_values=fill)


def concatenation(op: Concatenation, call: Call) -> Values:
    """Any number of tensors joined along `axis`.

    int8 inputs must be quantized as the output is (the kernels copy bytes); uint8 inputs may
    differ and are rescaled in float32 (ConcatenationWithScaling, reference/concatenation.h).
    """
    if op.activation is not Activation.NONE:
        raise call.refuse("has no kernel with a fused activation")
    parts = [_on_output_scale(call, *pair) for pair in zip(call.inputs, call.values, strict=True)]
    return np.concatenate(parts, axis=op.axis)


def _on_output_scale(call: Call, tensor: Tensor, value: Values) -> Values:
    if tensor.quantization is None:
        return value
    scale, zero_point = call.per_tensor(tensor)
    output_scale, output_zero_point = call.per_tensor(call.output)
    if (scale, zero_point) == (output_scale, output_zero_point):
        return value
    if tensor.dtype is not DType.UINT8:
        raise call.refuse(f"needs '{tensor.name}' quantized as its output is")
    single = np.float32
    factor = single(scale) * (single(1) / single(output_scale))
    offset = single(-zero_point) * factor
    steps = (np.arange(256, dtype=single) * factor + offset).astype(np.float64)
    steps = np.copysign(np.floor(np.abs(steps) + 0.5), steps)
    table = np.clip(steps + output_zero_point, 0, 255).astype(np.uint8)
    return table[value]
