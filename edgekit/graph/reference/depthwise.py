"""DepthwiseConv2D: one multiply-add over the whole image for each tap of the window.

Source of the integer arithmetic:
tensorflow/lite/kernels/internal/reference/integer_ops/depthwise_conv.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ops import DepthwiseConv2D
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.layer import layer
from edgekit.graph.reference.windows import Axis, place

Floats = npt.NDArray[np.floating[Any]]
# Output elements at a time: sums, products and padded image together stay in cache.
_CHUNK = 1 << 15


def depthwise_conv_2d(op: DepthwiseConv2D, call: Call) -> Values:
    """(N,H,W,C), weights (1,kH,kW,C*multiplier), [bias] -> (N,H',W',C*multiplier).

    Output channel c reads input channel c // multiplier.
    """
    image = call.values[0]
    _, height, width, channels = call.inputs[1].shape
    multiplier, rest = divmod(channels, image.shape[3])
    if rest or not multiplier:
        raise call.refuse(f"cannot make {channels} channels of {image.shape[3]}")
    rows = Axis.of(image.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(image.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    if not (rows.count and columns.count):
        raise call.refuse(f"has a window of {height}x{width} that does not fit its input")
    constants = layer(call, op.activation, channel_axis=3)

    out = np.empty((len(image), rows.count, columns.count, channels), call.output_type)
    step = max(1, _CHUNK // (rows.count * columns.count * channels))
    for start in range(0, len(image), step):
        chunk = slice(start, start + step)
        repeated = np.repeat(image[chunk], multiplier, axis=3) if multiplier > 1 else image[chunk]
        shape = (len(repeated), rows.padded, columns.padded, channels)
        padded = np.empty(shape, constants.weights.dtype)
        place(repeated, rows, columns, constants.padding, padded)
        sums = _sum_taps(padded, constants.weights, rows, columns)
        constants.finish(sums.reshape(out[chunk].shape), out[chunk])
    return out


def _sum_taps(padded: Floats, weights: Floats, rows: Axis, columns: Axis) -> Floats:
    """(n,Hp,Wp,C) and (1,kH,kW,C) -> sums (n, H', W'*C).

    Width and channels are joined, and the weights repeated along the width, so that the inner loop
    runs over a whole row. For that the columns are split by their phase (column mod stride): what
    lies under one tap of neighbouring windows is then adjacent.
    """
    n, height, _, channels = padded.shape
    phases = {
        phase: np.ascontiguousarray(padded[:, :, phase :: columns.stride]).reshape(n, height, -1)
        for phase in {j * columns.dilation % columns.stride for j in range(columns.taps)}
    }
    length = columns.count * channels
    tiled = np.tile(weights[0], columns.count)  # (kH, kW, W'*C)
    sums = np.zeros((n, rows.count, length), padded.dtype)
    product = np.empty_like(sums)
    for j in range(columns.taps):
        left, phase = divmod(j * columns.dilation, columns.stride)
        under = phases[phase][:, :, left * channels : left * channels + length]
        for i in range(rows.taps):
            np.multiply(under[:, rows.under(i)], tiled[i, j], out=product)
            np.add(sums, product, out=sums)
    return sums
