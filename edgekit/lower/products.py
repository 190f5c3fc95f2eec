"""Conv2D, DepthwiseConv2D and FullyConnected: sums of products."""

from __future__ import annotations

import numpy as np

from edgekit.graph.ir import Array, DType, Tensor
from edgekit.graph.ops import Conv2D, DepthwiseConv2D, FullyConnected
from edgekit.graph.reference.call import EIGHT_BIT, Call
from edgekit.graph.reference.layer import IntegerTerms, integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Constant, Kernel, Step, Value
from edgekit.lower.unsigned import OFFSET
from edgekit.lower.windows import dilation, geometry, requantization

_PIXELS = 2  # whose windows ek_conv_s8 gathers together


def conv_2d(op: Conv2D, call: Call) -> Step:
    """The step of a Conv2D, grouped or not."""
    x, weights = _constant_weights(call)
    terms = integer_terms(call, op.activation, channel_axis=0)
    outputs, height, width, depth = weights.shape
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    gathers = (height, width, *op.stride, rows.before, columns.before) != (1, 1, 1, 1, 0, 0)
    stored, finish = _weights(weights, terms, "OHWI"), requantization(terms)

    def of_rows(rows: Axis) -> Kernel:
        return Kernel(
            name="ek_conv_s8",
            struct="ek_conv",
            parameters={
                **geometry(rows, columns, x.shape),
                **dilation(rows, columns),
                "output_channels": outputs,
                "groups": x.shape[3] // depth,
                **stored,
                **finish,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=_PIXELS * height * width * depth if gathers else 0,
        )

    return Step.by_rows(call.node, rows, of_rows)


def depthwise_conv_2d(op: DepthwiseConv2D, call: Call) -> Step:
    """The step of a DepthwiseConv2D, any channel multiplier."""
    x, weights = _constant_weights(call)
    terms = integer_terms(call, op.activation, channel_axis=3)
    _, height, width, channels = weights.shape
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    window_bytes = height * width * x.shape[3]
    stored = _weights(weights, terms, "kernel rows, columns, channels")
    finish = requantization(terms)
    may_overwrite = x.shape[0] == 1 and channels == x.shape[3]

    def of_rows(rows: Axis) -> Kernel:
        laps = any(axis.padded > axis.size for axis in (rows, columns))
        held_bytes = (rows.before + 1) * columns.count * channels
        return Kernel(
            name="ek_depthwise_s8",
            struct="ek_depthwise",
            parameters={
                **geometry(rows, columns, x.shape),
                **dilation(rows, columns),
                "multiplier": channels // x.shape[3],
                **stored,
                **finish,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=window_bytes if laps else 0,
            in_place_scratch_bytes=window_bytes + held_bytes if may_overwrite else None,
        )

    return Step.by_rows(call.node, rows, of_rows)


def fully_connected(op: FullyConnected, call: Call) -> Step:
    """The step of a FullyConnected."""
    x, weights = _constant_weights(call)
    terms = integer_terms(call, op.activation, channel_axis=0)
    outputs, inputs = weights.shape
    kernel = Kernel(
        name="ek_dense_s8",
        struct="ek_dense",
        parameters={
            "rows": x.elements // inputs,
            "inputs": inputs,
            "outputs": outputs,
            **_weights(weights, terms, "outputs, inputs"),
            **requantization(terms),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))


def _constant_weights(call: Call) -> tuple[Tensor, Array]:
    """The int8 input, and the weights' values: int8, or uint8 in a legacy network."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype not in EIGHT_BIT or weights.data is None:
        raise call.refuse("has a C kernel for int8 only")
    return x, weights.data


def _weights(weights: Array, terms: IntegerTerms, layout: str) -> dict[str, Value]:
    """The fields of the weights as int8; what is uint8 moves with its zero point."""
    zero_point = terms.weight_zero_point
    if weights.dtype == np.uint8:
        weights = (np.asarray(weights, np.uint8) ^ OFFSET).view(np.int8)
        zero_point -= OFFSET
    return {"weights": Constant("weights", weights, layout=layout), "weight_zero_point": zero_point}
