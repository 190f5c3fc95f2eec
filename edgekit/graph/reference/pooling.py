"""AveragePool2D and MaxPool2D: one pass over the image for each tap of the window.

Source of the integer arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/pooling.h.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import activation_range
from edgekit.graph.ops import Activation, AveragePool2D, MaxPool2D
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.layer import float_range
from edgekit.graph.reference.windows import Axis, pad

# PoolingPrepare lets the two scales differ by this much.
_SCALE_TOLERANCE = 1e-6


def average_pool_2d(op: AveragePool2D, call: Call) -> Values:
    """(N,H,W,C) -> (N,H',W',C): the mean of the taps inside the image.

    Integer: the sum of raw values divided by the count, rounded half away from zero.
    """
    rows, columns = _axes(op, call)
    low, high = _range(op.activation, call)
    kind = np.float32 if call.is_float else np.int32
    padded = pad(call.values[0], rows, columns, 0)
    shape = (len(padded), rows.count, columns.count, padded.shape[3])
    sums = np.zeros(shape, kind)
    for i in range(rows.taps):
        for j in range(columns.taps):
            sums += padded[:, rows.under(i), columns.under(j)]
    counts = (rows.taps_inside()[:, None] * columns.taps_inside())[:, :, None]
    if call.is_float:
        mean = sums / counts.astype(np.float32)
    else:
        mean = np.sign(sums) * ((np.abs(sums) + counts // 2) // counts)
    return np.clip(mean, low, high).astype(call.output_type)


def max_pool_2d(op: MaxPool2D, call: Call) -> Values:
    """(N,H,W,C) -> (N,H',W',C): the largest of the taps inside the image."""
    rows, columns = _axes(op, call)
    low, high = _range(op.activation, call)
    lowest = -np.inf if call.is_float else np.iinfo(call.output_type).min
    padded = pad(call.values[0], rows, columns, lowest)
    largest = padded[:, rows.under(0), columns.under(0)].copy()
    for i in range(rows.taps):
        for j in range(columns.taps):
            np.maximum(largest, padded[:, rows.under(i), columns.under(j)], out=largest)
    return np.clip(largest, low, high).astype(call.output_type)


def _axes(op: AveragePool2D | MaxPool2D, call: Call) -> tuple[Axis, Axis]:
    _, height, width, _ = call.values[0].shape
    rows = Axis.of(height, op.filter[0], op.stride[0], 1, op.padding)
    columns = Axis.of(width, op.filter[1], op.stride[1], 1, op.padding)
    if not (rows.count and columns.count):
        raise call.refuse(f"has a window of {op.filter} that does not fit its input")
    return rows, columns


def _range(activation: Activation, call: Call) -> tuple[float, float]:
    """The clamp; also refuses outputs that are not quantized as the input is."""
    if call.is_float:
        return float_range(activation)
    call.require_8_bit()
    input_scale, input_zero_point = call.per_tensor(call.inputs[0])
    scale, zero_point = call.per_tensor(call.output)
    if abs(input_scale - scale) > _SCALE_TOLERANCE or input_zero_point != zero_point:
        raise call.refuse("needs the same quantization for its input and output")
    return activation_range(activation, scale, zero_point, call.output_type)
