"""Conv2D -> ek_conv_s8: windows gathered, then products of 2 pixels x 2 channels."""

from __future__ import annotations

import numpy as np

from edgekit.graph.ir import DType
from edgekit.graph.ops import Conv2D
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import IntegerTerms, integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Constant, Kernel, Step, Value

_PIXELS = 2  # whose windows are gathered together


def conv_2d(op: Conv2D, call: Call) -> Step:
    """The step of a Conv2D, grouped or not."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.data is None:
        raise call.refuse("has no C kernel for its element types")
    terms = integer_terms(call, op.activation, channel_axis=0)
    outputs, height, width, depth = weights.shape
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    gathers = (height, width, *op.stride, rows.before, columns.before) != (1, 1, 1, 1, 0, 0)
    kernel = Kernel(
        function="ek_conv_s8",
        header="ek_conv.h",
        struct="ek_conv",
        parameters={
            **geometry(rows, columns, x.shape),
            "output_channels": outputs,
            "groups": x.shape[3] // depth,
            "weights": Constant("weights", weights.data, layout="OHWI"),
            **requantization(terms),
        },
        scratch_bytes=_PIXELS * height * width * depth if gathers else 0,
    )
    return Step(call.node, (x.name,), call.node.outputs, kernel)


def geometry(rows: Axis, columns: Axis, shape: tuple[int, ...]) -> dict[str, Value]:
    """The fields of a sliding window over an input (N,H,W,C)."""
    return {
        "batches": shape[0],
        "input_height": rows.size,
        "input_width": columns.size,
        "input_channels": shape[3],
        "output_height": rows.count,
        "output_width": columns.count,
        "kernel_height": rows.taps,
        "kernel_width": columns.taps,
        "stride_height": rows.stride,
        "stride_width": columns.stride,
        "dilation_height": rows.dilation,
        "dilation_width": columns.dilation,
        "pad_top": rows.before,
        "pad_left": columns.before,
    }


def requantization(terms: IntegerTerms) -> dict[str, Value]:
    """The fields that turn sums into outputs; a bias wraps as the compiled kernels' int32 does."""
    return {
        "bias": Constant("bias", terms.bias.astype(np.int32)),
        "multipliers": Constant("multipliers", terms.multiplier.astype(np.int32)),
        "shifts": Constant("shifts", terms.shift.astype(np.int8)),
        "input_zero_point": terms.input_zero_point,
        "output_zero_point": terms.zero_point,
        "output_min": terms.low,
        "output_max": terms.high,
    }
