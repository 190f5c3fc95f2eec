"""Which element types and quantizations each op takes: TFLite's 8-bit quantization specification.

An op and its tensors enter; nothing leaves; what breaks a rule is refused with the reason (which
node it was, the caller knows). float32, int8 and the older uint8 are known; mixtures (dynamic
range, 16x8, float16) are refused. Beyond the specification: RELU6 keeps its quantization, because
TFLite Micro's kernel ignores a different one.
Source: https://ai.google.dev/edge/litert/models/quantization_spec and the kernels' Prepare.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Quantization, Tensor
from edgekit.graph.ops import Activation, Op

Tensors = Sequence[Tensor]

_COMPUTED = (DType.FLOAT32, DType.INT8, DType.UINT8)
_INTEGER = (DType.INT8, DType.UINT8, DType.INT16)
_LEAST = {DType.INT8: -128, DType.UINT8: 0}
# Softmax and Logistic have a fixed output scale, which the kernels check to a thousandth.
_PROBABILITY_SCALE = 1 / 256
_SCALE_TOLERANCE = 1e-3
# Where two scales must be the same, two roundings of one float32 product still pass.
_SAME_SCALE_TOLERANCE = 1e-6


def check_types(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    """Element types and quantization parameters of one node.

    Raises:
        InputError: they contradict the specification.
        UnsupportedError: TFLite may know the combination; edgekit does not.
    """
    _RULES[type(op)](op, inputs, outputs)


def _check_dtype(tensors: Tensors, allowed: tuple[DType, ...] = _COMPUTED) -> None:
    """All of one type, which is among those allowed."""
    first = tensors[0].dtype
    for tensor in tensors:
        if tensor.dtype is not first or first not in allowed:
            names = ", ".join(f"'{t.name}' {t.dtype.value}" for t in tensors[:4])
            raise UnsupportedError(
                f"it cannot compute with these element types: {names}",
                hint="Quantize activations and weights to int8, or leave the whole model float.",
            )


def _per_tensor(tensor: Tensor) -> Quantization:
    if tensor.quantization is None:
        raise InputError(f"'{tensor.name}' is {tensor.dtype.value} but has no scale")
    if tensor.quantization.is_per_channel:
        raise UnsupportedError(f"'{tensor.name}' has a scale for each channel; only weights may")
    return tensor.quantization


def _check_constant(tensor: Tensor, what: str) -> None:
    if not tensor.is_constant:
        raise UnsupportedError(f"its {what} '{tensor.name}' must be a constant")


def _near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance * max(abs(a), abs(b))


def _weighted(axis: int) -> Callable[[Op, Tensors, Tensors], None]:
    """x, weights, [bias] -> y, with the weights' channels along `axis`."""

    def check(op: Op, inputs: Tensors, outputs: Tensors) -> None:
        for tensor, what in zip(inputs[1:], ("weights", "bias"), strict=False):
            _check_constant(tensor, what)
        _check_dtype([inputs[0], *outputs, inputs[1]])
        bias = inputs[2] if len(inputs) == 3 else None
        if inputs[0].dtype is DType.FLOAT32:
            _check_dtype(inputs)
            return
        source = _per_tensor(inputs[0])
        _per_tensor(outputs[0])
        of_weights = _check_weights(inputs[1], axis)
        if bias is not None:
            _check_bias(bias, source, of_weights)

    return check


def _check_weights(weights: Tensor, axis: int) -> Quantization:
    quantization = weights.quantization
    if quantization is None:
        raise InputError(f"its weights '{weights.name}' have no scale")
    if weights.dtype is not DType.INT8:
        return _per_tensor(weights)
    if quantization.is_per_channel and quantization.axis != axis:
        raise InputError(
            f"its weights '{weights.name}' have scales along dimension {quantization.axis}, "
            f"not {axis}"
        )
    if np.any(quantization.zero_points != 0):
        raise UnsupportedError(f"its int8 weights '{weights.name}' have a zero point other than 0")
    return quantization


def _check_bias(bias: Tensor, source: Quantization, weights: Quantization) -> None:
    """int32, zero point 0, scale = input scale * weights' scale, channel by channel.

    A bias without a scale passes: its meaning is clear, and kernels do not read the scale. So does
    one of zeros only, which TensorFlow's older quantizer shares between layers of other scales.
    """
    if bias.dtype is not DType.INT32:
        raise UnsupportedError(f"its bias '{bias.name}' is {bias.dtype.value}, not int32")
    if bias.quantization is None:
        return
    given, needed = bias.quantization, weights.scales.astype(np.float64) * source.scale
    if np.any(given.zero_points != 0):
        raise InputError(f"its bias '{bias.name}' has a zero point other than 0")
    if len(given.scales) != len(needed):
        raise InputError(
            f"its bias '{bias.name}' has {len(given.scales)} scales, its weights {len(needed)}"
        )
    off = np.abs(given.scales - needed) > _SCALE_TOLERANCE * needed
    if np.any(off) and np.any(bias.data):
        channel = int(np.argmax(off))
        raise InputError(
            f"its bias '{bias.name}' has scale {given.scales[channel]:.9g} in channel {channel}; "
            f"input scale * weight scale is {needed[channel]:.9g}"
        )


def _any_scale(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    """Kernels rescale from any input scale to any output scale."""
    data = inputs[:1] if isinstance(op, ops.Mean) else inputs
    _check_dtype([*data, *outputs])
    if data[0].dtype is not DType.FLOAT32:
        for tensor in (*data, *outputs):
            _per_tensor(tensor)


def _same_scale(*positions: int) -> Callable[[Op, Tensors, Tensors], None]:
    """The inputs at these positions (none: all) and the outputs share one quantization."""

    def check(op: Op, inputs: Tensors, outputs: Tensors) -> None:
        data = [inputs[i] for i in positions] if positions else list(inputs)
        _check_dtype([*data, *outputs], tuple(DType))
        for tensor in (*data[1:], *outputs):
            _check_same(data[0], tensor)

    return check


def _check_same(first: Tensor, other: Tensor) -> None:
    if first.quantization is None and other.quantization is None:
        return
    a, b = _per_tensor(first), _per_tensor(other)
    if a.zero_point != b.zero_point or not _near(a.scale, b.scale, _SAME_SCALE_TOLERANCE):
        raise InputError(
            f"'{first.name}' (scale {a.scale:.9g}, zero point {a.zero_point}) and '{other.name}' "
            f"({b.scale:.9g}, {b.zero_point}) must have the same quantization"
        )


def _computed_same_scale(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    _check_dtype([*inputs, *outputs])
    if inputs[0].dtype is not DType.FLOAT32:
        _per_tensor(inputs[0])
    _same_scale()(op, inputs, outputs)


def _concatenation(op: ops.Concatenation, inputs: Tensors, outputs: Tensors) -> None:
    if op.activation is not Activation.NONE:
        raise UnsupportedError(f"it has a fused {op.activation.value}, which no runtime computes")
    _same_scale()(op, inputs, outputs)


def _pad_v2(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    _check_constant(inputs[2], "padding value")
    _same_scale(0, 2)(op, inputs, outputs)


def _probability(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    """int8: scale 1/256, zero point -128; uint8: 1/256, 0."""
    _any_scale(op, inputs, outputs)
    if inputs[0].dtype is DType.FLOAT32:
        return
    given, least = _per_tensor(outputs[0]), _LEAST[outputs[0].dtype]
    near = _near(given.scale, _PROBABILITY_SCALE, _SCALE_TOLERANCE)
    if not near or given.zero_point != least:
        raise InputError(
            f"its output '{outputs[0].name}' must have scale 1/256 and zero point {least}, "
            f"not {given.scale:.9g} and {given.zero_point}"
        )


def _softmax(op: ops.Softmax, inputs: Tensors, outputs: Tensors) -> None:
    if not 0 < op.beta < np.inf:
        raise InputError(f"its beta is {op.beta}, not a positive number")
    _probability(op, inputs, outputs)


def _quantize(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    _check_dtype(inputs, (DType.FLOAT32, *_INTEGER))
    _check_dtype(outputs, _INTEGER)
    if inputs[0].dtype is not DType.FLOAT32:
        _per_tensor(inputs[0])
    _per_tensor(outputs[0])


def _dequantize(op: Op, inputs: Tensors, outputs: Tensors) -> None:
    _check_dtype(inputs, _INTEGER)
    _check_dtype(outputs, (DType.FLOAT32,))
    _per_tensor(inputs[0])


_RULES: dict[type[Op], Callable[[Any, Tensors, Tensors], None]] = {
    ops.Conv2D: _weighted(0),
    ops.DepthwiseConv2D: _weighted(3),
    ops.FullyConnected: _weighted(0),
    ops.AveragePool2D: _computed_same_scale,
    ops.MaxPool2D: _computed_same_scale,
    ops.Mean: _any_scale,
    ops.Add: _any_scale,
    ops.Sub: _any_scale,
    ops.Mul: _any_scale,
    ops.Concatenation: _concatenation,
    ops.Pad: _same_scale(0),
    ops.PadV2: _pad_v2,
    ops.Softmax: _softmax,
    ops.Logistic: _probability,
    ops.HardSwish: _any_scale,
    ops.Relu: _any_scale,
    ops.Relu6: _computed_same_scale,
    ops.Reshape: _same_scale(0),
    ops.Squeeze: _same_scale(0),
    ops.ExpandDims: _same_scale(0),
    ops.Transpose: _same_scale(0),
    ops.Split: _same_scale(1),
    ops.Quantize: _quantize,
    ops.Dequantize: _dequantize,
}
