"""Conv2D: windows gathered into a matrix, one matrix product, one finish; a group at a time.

Source of the integer arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/conv.h.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.ops import Conv2D
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.layer import Layer, layer
from edgekit.graph.reference.windows import Axis, pad, windows

# Gathered elements at a time: a few hundred kilobytes stay in cache and still feed the product.
_CHUNK = 1 << 18


def conv_2d(op: Conv2D, call: Call) -> Values:
    """(N,H,W,C), weights (O,kH,kW,C/groups), [bias (O)] -> (N,H',W',O).

    out[n,y,x,o] = sum over i,j,c of x[n, y*stride+i*dilation-pad, ..., c] * w[o,i,j,c] + b[o];
    outside the image x is real 0. Grouped where C is a multiple of the weights' depth.
    """
    image = call.values[0]
    outputs, height, width, depth = call.inputs[1].shape
    groups, rest = divmod(image.shape[3], depth)
    if rest or outputs % groups:
        raise call.refuse(f"cannot split {image.shape[3]} channels in groups of {depth}")
    rows = Axis.of(image.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(image.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    if not (rows.count and columns.count):
        raise call.refuse(f"has a window of {height}x{width} that does not fit its input")
    constants = layer(call, op.activation, channel_axis=0)

    out = np.empty((len(image), rows.count, columns.count, outputs), call.output_type)
    step = max(1, _CHUNK // (rows.count * columns.count * max(depth * height * width, outputs)))
    for start in range(0, len(image), step):
        chunk = slice(start, start + step)
        _convolve(constants, image[chunk], rows, columns, groups, out[chunk])
    return out


def _convolve(
    constants: Layer, image: Values, rows: Axis, columns: Axis, groups: int, out: Values
) -> None:
    """A few images: im2col, matrix product, finish."""
    weights = constants.weights
    outputs, _, _, depth = weights.shape
    matrix = weights.reshape(groups, outputs // groups, -1).transpose(0, 2, 1)
    # (n, H', W', kH, kW, C): for 1x1 at stride 1 this is the image itself.
    under = windows(pad(image, rows, columns, constants.padding), rows, columns)
    sums = np.empty((out.size // outputs, outputs), weights.dtype)
    for group in range(groups):
        inputs = under[..., group * depth : (group + 1) * depth]
        gathered = inputs.astype(weights.dtype, order="C").reshape(len(sums), -1)
        own = slice(group * (outputs // groups), (group + 1) * (outputs // groups))
        np.matmul(gathered, matrix[group], out=sums[:, own])
    constants.finish(sums.reshape(out.shape), out)
