"""Conv2D, DepthwiseConv2D and FullyConnected: sums of products of int8."""

from __future__ import annotations

from edgekit.graph.ir import Array, DType, Tensor
from edgekit.graph.ops import Conv2D, DepthwiseConv2D, FullyConnected
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.windows import dilation, geometry, requantization

_PIXELS = 2  # whose windows ek_conv_s8 gathers together


def conv_2d(op: Conv2D, call: Call) -> Step:
    """The step of a Conv2D, grouped or not."""
    x, weights = _int8(call)
    terms = integer_terms(call, op.activation, channel_axis=0)
    outputs, height, width, depth = weights.shape
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    gathers = (height, width, *op.stride, rows.before, columns.before) != (1, 1, 1, 1, 0, 0)
    kernel = Kernel(
        name="ek_conv_s8",
        struct="ek_conv",
        parameters={
            **geometry(rows, columns, x.shape),
            **dilation(rows, columns),
            "output_channels": outputs,
            "groups": x.shape[3] // depth,
            "weights": Constant("weights", weights, layout="OHWI"),
            "weight_zero_point": terms.weight_zero_point,
            **requantization(terms),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
        scratch_bytes=_PIXELS * height * width * depth if gathers else 0,
    )
    return Step(call.node, (kernel,))


def depthwise_conv_2d(op: DepthwiseConv2D, call: Call) -> Step:
    """The step of a DepthwiseConv2D, any channel multiplier."""
    x, weights = _int8(call)
    terms = integer_terms(call, op.activation, channel_axis=3)
    _, height, width, channels = weights.shape
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    laps = any(axis.padded > axis.size for axis in (rows, columns))
    kernel = Kernel(
        name="ek_depthwise_s8",
        struct="ek_depthwise",
        parameters={
            **geometry(rows, columns, x.shape),
            **dilation(rows, columns),
            "multiplier": channels // x.shape[3],
            "weights": Constant("weights", weights, layout="kernel rows, columns, channels"),
            "weight_zero_point": terms.weight_zero_point,
            **requantization(terms),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
        scratch_bytes=height * width * x.shape[3] if laps else 0,
    )
    return Step(call.node, (kernel,))


def fully_connected(op: FullyConnected, call: Call) -> Step:
    """The step of a FullyConnected."""
    x, weights = _int8(call)
    terms = integer_terms(call, op.activation, channel_axis=0)
    outputs, inputs = weights.shape
    kernel = Kernel(
        name="ek_dense_s8",
        struct="ek_dense",
        parameters={
            "rows": x.elements // inputs,
            "inputs": inputs,
            "outputs": outputs,
            "weights": Constant("weights", weights, layout="outputs, inputs"),
            "weight_zero_point": terms.weight_zero_point,
            **requantization(terms),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))


def _int8(call: Call) -> tuple[Tensor, Array]:
    """The input and the weights' values, both int8."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        raise call.refuse("has a C kernel for int8 only")
    return x, weights.data
