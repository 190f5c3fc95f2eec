"""AveragePool2D, MaxPool2D and Mean."""

from __future__ import annotations

from math import prod

from edgekit.graph.fixedpoint import activation_range
from edgekit.graph.ir import DType
from edgekit.graph.ops import AveragePool2D, MaxPool2D, Mean
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.reduction import mean_multiplier, reduced_axes
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Kernel, Step
from edgekit.lower.strides import contiguous, padded
from edgekit.lower.unsigned import OFFSET, UnsignedAveragePool2D
from edgekit.lower.windows import geometry


def average_pool_2d(op: AveragePool2D, call: Call) -> Step:
    """The step of an AveragePool2D."""
    return pool(op, call, "ek_average_pool_s8")


def max_pool_2d(op: MaxPool2D, call: Call) -> Step:
    """The step of a MaxPool2D."""
    return pool(op, call, "ek_max_pool_s8")


def pool(op: AveragePool2D | MaxPool2D, call: Call, name: str) -> Step:
    """The step by a kernel of that name; what was uint8 is averaged as such."""
    x = call.inputs[0]
    if x.dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    rows = Axis.of(x.shape[1], op.filter[0], op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], op.filter[1], op.stride[1], 1, op.padding)
    low, high = activation_range(op.activation, *call.per_tensor(call.output), call.output_type)

    def of_rows(rows: Axis) -> Kernel:
        parameters = {
            **geometry(rows, columns, x.shape),
            "offset": OFFSET if isinstance(op, UnsignedAveragePool2D) else 0,
            "output_min": low,
            "output_max": high,
        }
        return Kernel(name, "ek_pool", parameters, (x.name,), call.node.outputs)

    return Step.by_rows(call.node, rows, of_rows)


def mean(op: Mean, call: Call) -> Step:
    """The step of a Mean over any axes."""
    x = call.inputs[0]
    if x.dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    axes, strides = reduced_axes(call), contiguous(x.shape)
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    count = prod(x.shape[axis] for axis in axes)
    multiplier, shift = mean_multiplier(call, count)
    low, high = call.output.dtype.limits
    kernel = Kernel(
        name="ek_mean_s8",
        struct="ek_mean",
        parameters={
            "kept_shape": padded([x.shape[axis] for axis in kept], 1),
            "kept_strides": padded([strides[axis] for axis in kept], 0),
            "reduced_shape": padded([x.shape[axis] for axis in axes], 1),
            "reduced_strides": padded([strides[axis] for axis in axes], 0),
            "bias": -count * call.per_tensor(x)[1],
            "multiplier": multiplier,
            "shift": shift,
            "output_zero_point": call.per_tensor(call.output)[1],
            "output_min": low,
            "output_max": high,
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))
