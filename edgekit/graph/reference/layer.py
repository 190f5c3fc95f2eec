"""The constants of a layer that multiplies and sums: what Conv2D, DepthwiseConv2D and
FullyConnected share.

A call with weights and bias enters; a `Layer` leaves: weights as floats, the value that padding
has, and how to finish the sums. Refused: hybrid types, weights that are not constant, int8
convolution weights with a zero point.

All sums are taken by floating-point matrix products. For integers they are exact: every partial
sum, in any order, is an integer of at most sum|w| * max|x|, and float32 holds every integer up to
2^24, float64 up to 2^53. Which one suffices follows from the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.fixedpoint import Integers, activation_range, quantize_multipliers
from edgekit.graph.ir import DType
from edgekit.graph.ops import Activation
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.rescale import Clamp, Finish, Requantize

Floats = npt.NDArray[np.floating[Any]]
_LARGEST_VALUE = {DType.INT8: 128.0, DType.UINT8: 255.0}
_FLOAT_RANGES = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Layer:
    """A sum of products, ready to be computed.

    Attributes:
        weights: in the weights' own layout; integers (zero point subtracted) held as floats of the
            type in which the sums are exact.
        padding: the input value that stands for real 0.
        finish: turns sums of (weight * raw input value) into outputs.
    """

    weights: Floats
    padding: float
    finish: Finish


def float_range(activation: Activation) -> tuple[float, float]:
    """The smallest and largest real value an activation lets through."""
    return _FLOAT_RANGES[activation]


def layer(call: Call, activation: Activation, channel_axis: int) -> Layer:
    """The layer of a node with inputs (x, weights, [bias]).

    Args:
        channel_axis: the weights' axis of output channels.

    Raises:
        UnsupportedError: types or quantizations that no TFLite kernel accepts.
    """
    weights = call.inputs[1]
    if weights.data is None:
        raise call.refuse(f"needs constant weights, not the activation '{weights.name}'")
    if call.inputs[0].dtype is not weights.dtype:
        types = f"{call.inputs[0].dtype.value} input and {weights.dtype.value} weights"
        raise call.refuse(f"is not defined for {types}")
    if call.is_float:
        bias = call.values[2] if len(call.inputs) > 2 else None
        low, high = float_range(activation)
        return Layer(weights.data.astype(np.float32), 0.0, Clamp(bias, low, high))
    call.require_8_bit()
    return _integer_layer(call, activation, channel_axis)


@dataclass(frozen=True, eq=False)
class IntegerTerms:
    """What an integer layer adds, multiplies and clamps by, one entry an output channel.

    output = clamp(zero_point + MultiplyByQuantizedMultiplier(sum(w x) + bias)), where w is a weight
    less its zero point and x a raw input value.

    Attributes:
        bias: (C,) the node's bias less input zero point x sum(w), unwrapped.
        multiplier, shift: (C,) as `quantize_multiplier` gives them.
        weight_zero_point: of all weights; 0 for int8 convolutions.
        input_zero_point: the raw input value that stands for real 0: what padding reads.
        zero_point, low, high: of the output.
    """

    bias: Integers
    multiplier: Integers
    shift: Integers
    weight_zero_point: int
    input_zero_point: int
    zero_point: int
    low: int
    high: int


def integer_terms(call: Call, activation: Activation, channel_axis: int) -> IntegerTerms:
    """The constants of an 8-bit node with inputs (x, constant weights, [constant bias]).

    Raises:
        UnsupportedError: quantizations that no TFLite kernel accepts.
    """
    x, weights, output = call.inputs[0], call.inputs[1], call.output
    assert weights.data is not None
    _, input_zero_point = call.per_tensor(x)
    output_scale, output_zero_point = call.per_tensor(output)
    weight_zero_point = _weight_zero_point(call)
    others = tuple(i for i in range(weights.data.ndim) if i != channel_axis % weights.data.ndim)
    sums = weights.data.astype(np.int64).sum(axis=others)
    count = weights.data.size // max(1, weights.shape[channel_axis])
    # sum w (x - z) + b = sum w x + (b - z sum w): the zero point becomes part of the bias.
    folded = -input_zero_point * (sums - weight_zero_point * count)
    if len(call.inputs) > 2:
        folded += call.values[2].astype(np.int64).reshape(-1)
    channels = weights.shape[channel_axis]
    multiplier, shift = quantize_multipliers(_effective_scales(call, channels))
    low, high = activation_range(activation, output_scale, output_zero_point, call.output_type)
    return IntegerTerms(
        bias=folded,
        multiplier=multiplier,
        shift=shift,
        weight_zero_point=weight_zero_point,
        input_zero_point=input_zero_point,
        zero_point=output_zero_point,
        low=low,
        high=high,
    )


def _integer_layer(call: Call, activation: Activation, channel_axis: int) -> Layer:
    weights = call.inputs[1]
    assert weights.data is not None
    terms = integer_terms(call, activation, channel_axis)
    # At most 255 in magnitude: float32 holds them, but not always their sums.
    values = weights.data.astype(np.float32) - np.float32(terms.weight_zero_point)
    others = tuple(axis for axis in range(values.ndim) if axis != channel_axis % values.ndim)
    bound = np.abs(values).sum(axis=others, dtype=np.float64) * _LARGEST_VALUE[weights.dtype]
    exact = np.float32 if bound.max(initial=0.0) < 2.0**24 else np.float64
    finish = Requantize(
        bias=terms.bias,
        multiplier=terms.multiplier,
        shift=terms.shift,
        zero_point=terms.zero_point,
        low=terms.low,
        high=terms.high,
        largest=bound + np.abs(terms.bias),
    )
    return Layer(values.astype(exact, copy=False), float(terms.input_zero_point), finish)


def _weight_zero_point(call: Call) -> int:
    """The weights' zero point; int8 kernels of convolutions have no term for one."""
    zero_points = call.quantization(call.inputs[1]).zero_points
    if (zero_points == 0).all():
        return 0
    is_dense = call.node.op.tflite_name == "FULLY_CONNECTED"
    if len(zero_points) > 1 or not (is_dense or call.inputs[1].dtype is DType.UINT8):
        raise call.refuse("needs symmetric weights (zero point 0)")
    return int(zero_points[0])


def _effective_scales(call: Call, channels: int) -> npt.NDArray[np.float64]:
    """input scale * weight scale / output scale of each output channel.

    Sources: PopulateConvolutionQuantizationParams for int8 convolutions and per-channel weights (a
    float64 product), GetQuantizedConvolutionMultipler for per-tensor FullyConnected and for uint8
    (a float32 product); tensorflow/lite/kernels/kernel_util.cc.
    """
    scales = call.quantization(call.inputs[1]).scales
    input_scale = np.float32(call.per_tensor(call.inputs[0])[0])
    output_scale = call.per_tensor(call.output)[0]
    if len(scales) not in (1, channels):
        raise call.refuse(f"has {len(scales)} weight scales for {channels} output channels")
    is_dense = call.node.op.tflite_name == "FULLY_CONNECTED"
    if len(scales) == 1 and (is_dense or call.inputs[1].dtype is DType.UINT8):
        products = (input_scale * scales).astype(np.float64)
    else:
        products = np.float64(input_scale) * scales.astype(np.float64)
    return np.broadcast_to(products / output_scale, (channels,))
