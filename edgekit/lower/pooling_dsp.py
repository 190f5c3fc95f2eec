"""Pooling and means on cores that add four bytes at once: four channels at a time.

A node enters, its step leaves, or None where the kernel does not apply.
"""

from __future__ import annotations

from edgekit.graph.ir import DType
from edgekit.graph.ops import AveragePool2D, MaxPool2D, Mean
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.reduction import mean_multiplier, reduced_axes
from edgekit.lower.pooling import pool
from edgekit.lower.program import Kernel, Step

_CHANNELS = 4  # that are computed together
_MOST_PIXELS = 256  # whose sum of int8 values fits 16 bits


def average_pool_2d(op: AveragePool2D, call: Call) -> Step | None:
    """The step by ek_average_pool_dsp: windows of at most 256 pixels, four channels at least."""
    height, width = op.filter
    if not _applies(call) or height * width > _MOST_PIXELS:
        return None
    return pool(op, call, "ek_average_pool_dsp")


def max_pool_2d(op: MaxPool2D, call: Call) -> Step | None:
    """The step by ek_max_pool_dsp: four channels at least."""
    return pool(op, call, "ek_max_pool_dsp") if _applies(call) else None


def mean(op: Mean, call: Call) -> Step | None:
    """The step by ek_mean_dsp: over height and width of four channels at least."""
    x = call.inputs[0]
    if len(x.shape) != 4 or not _applies(call) or reduced_axes(call) != (1, 2):
        return None
    batches, height, width, channels = x.shape
    multiplier, shift = mean_multiplier(call, height * width)
    kernel = Kernel(
        name="ek_mean_dsp",
        struct="ek_mean_pixels",
        parameters={
            "batches": batches,
            "pixels": height * width,
            "channels": channels,
            "bias": -height * width * call.per_tensor(x)[1],
            "multiplier": multiplier,
            "shift": shift,
            "output_zero_point": call.per_tensor(call.output)[1],
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))


def _applies(call: Call) -> bool:
    x = call.inputs[0]
    return x.dtype is DType.INT8 and x.shape[-1] >= _CHANNELS
