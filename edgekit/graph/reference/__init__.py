"""What every op means: one readable NumPy function an op, float and integer.

A `Call` (a node and the values it reads) enters, the values it writes leave. Integer results are
bit-exact with TFLite Micro's kernels (uint8, which those lack: with LiteRT's reference kernels);
float results agree up to the order of summation. Fast versions elsewhere must equal these.
Combinations no kernel defines are refused with UnsupportedError, naming the node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.reference.activations import hard_swish, logistic, relu, relu6
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.convolution import conv_2d
from edgekit.graph.reference.dense import fully_connected
from edgekit.graph.reference.depthwise import depthwise_conv_2d
from edgekit.graph.reference.elementwise import add, mul, sub
from edgekit.graph.reference.pooling import average_pool_2d, max_pool_2d
from edgekit.graph.reference.quantization import dequantize, quantize
from edgekit.graph.reference.reduction import mean
from edgekit.graph.reference.shape import (
    concatenation,
    pad,
    pad_v2,
    reshape,
    split,
    transpose,
)
from edgekit.graph.reference.softmax import softmax

Definition = Callable[[Any, Call], Values | tuple[Values, ...]]

DEFINITIONS: Mapping[type[ops.Op], Definition] = {
    ops.Conv2D: conv_2d,
    ops.DepthwiseConv2D: depthwise_conv_2d,
    ops.FullyConnected: fully_connected,
    ops.AveragePool2D: average_pool_2d,
    ops.MaxPool2D: max_pool_2d,
    ops.Mean: mean,
    ops.Add: add,
    ops.Sub: sub,
    ops.Mul: mul,
    ops.Concatenation: concatenation,
    ops.Pad: pad,
    ops.PadV2: pad_v2,
    ops.Softmax: softmax,
    ops.Logistic: logistic,
    ops.HardSwish: hard_swish,
    ops.Relu: relu,
    ops.Relu6: relu6,
    ops.Reshape: reshape,
    ops.Squeeze: reshape,
    ops.ExpandDims: reshape,
    ops.Transpose: transpose,
    ops.Split: split,
    ops.Quantize: quantize,
    ops.Dequantize: dequantize,
}


def evaluate(call: Call) -> tuple[Values, ...]:
    """The values a node writes.

    Raises:
        UnsupportedError: the op is opaque, or the combination of types, quantizations and
            parameters has no TFLite kernel.
    """
    definition = DEFINITIONS.get(type(call.node.op))
    if definition is None:
        raise call.refuse("cannot be computed")
    try:
        result = definition(call.node.op, call)
    except UnsupportedError as error:
        if str(error).startswith(call.title):
            raise
        raise UnsupportedError(f"{call.title}: {error}", hint=error.hint) from None
    return result if isinstance(result, tuple) else (result,)
