"""What each op computes in real numbers, in torch, so that gradients flow.

A node and the reals it reads enter, the reals it writes leave; layouts are the graph's (NHWC), the
leading dimension is the batch. A float graph's values follow from this up to the order of
summation. Of an integer graph it gives the gradients, see `network`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgekit.graph import ops
from edgekit.graph.ir import Array, Graph, Node
from edgekit.graph.reference.layer import float_range
from edgekit.graph.reference.windows import Axis

_Rule = Callable[[Any, Sequence[Tensor], Sequence[Array | None], tuple[int, ...]], Tensor]


def is_known(node: Node) -> bool:
    """Whether a node's op is among those that can be differentiated here."""
    return isinstance(node.op, (*_RULES, ops.Split))


def evaluate(graph: Graph, node: Node, values: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What a node writes.

    Args:
        values: of its inputs, in real numbers; those of axes, shapes and paddings are not read.
    """
    constants = [tensor.data for tensor in graph.inputs_of(node)]
    shapes = [tensor.shape for tensor in graph.outputs_of(node)]
    if isinstance(node.op, ops.Split):
        axis = int(_integers(constants[0])[0])
        return tuple(values[1].split(shapes[0][axis], dim=axis))
    result = _RULES[type(node.op)](node.op, values, constants, shapes[0])
    return (_activated(node.op, result),)


def products(op: ops.Op, x: Tensor, weights: Tensor) -> Tensor:
    """The sums of products of a layer with weights, padded with 0, without bias or activation.

    Args:
        weights: in the graph's layout, of the type of `x`.
    """
    if isinstance(op, ops.FullyConnected):
        return functional.linear(x.reshape(-1, weights.shape[1]), weights)
    assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
    depthwise = isinstance(op, ops.DepthwiseConv2D)
    kernel = weights.permute(3, 0, 1, 2) if depthwise else weights.permute(0, 3, 1, 2)
    groups = x.shape[3] // kernel.shape[1]
    rows, columns = _axes(op, x, (kernel.shape[2], kernel.shape[3]))
    padding = (rows.before, columns.before)
    if rows.before != rows.after or columns.before != columns.after:
        x = functional.pad(x, (0, 0, columns.before, columns.after, rows.before, rows.after))
        padding = (0, 0)
    image = x.permute(0, 3, 1, 2)
    sums = functional.conv2d(image, kernel, None, op.stride, padding, op.dilation, groups)
    return sums.permute(0, 2, 3, 1)


def _axes(op: Any, x: Tensor, taps: tuple[int, int]) -> tuple[Axis, Axis]:
    dilation = getattr(op, "dilation", (1, 1))
    first, second = (
        Axis.of(x.shape[1 + i], taps[i], op.stride[i], dilation[i], op.padding) for i in (0, 1)
    )
    return first, second


def _activated(op: ops.Op, x: Tensor) -> Tensor:
    activation = getattr(op, "activation", ops.Activation.NONE)
    low, high = float_range(activation)
    return x if activation is ops.Activation.NONE else x.clamp(low, high)


def _integers(data: Array | None) -> list[int]:
    assert data is not None  # axes, shapes and paddings are constants
    return [int(value) for value in data.reshape(-1)]


def _layer(op: ops.Op, x: Sequence[Tensor], constants: object, shape: tuple[int, ...]) -> Tensor:
    sums = products(op, x[0], x[1])
    sums = sums if len(x) < 3 else sums + x[2]
    return sums.reshape(-1, *shape[1:])


def _average(op: Any, x: Sequence[Tensor], constants: object, shape: object) -> Tensor:
    rows, columns = _axes(op, x[0], op.filter)
    edges = (columns.before, columns.after, rows.before, rows.after)
    image = functional.pad(x[0].permute(0, 3, 1, 2), edges)
    sums = functional.avg_pool2d(image, op.filter, op.stride, divisor_override=1)
    counts = torch.from_numpy(rows.taps_inside()[:, None] * columns.taps_inside())
    return (sums / counts).permute(0, 2, 3, 1)


def _largest(op: Any, x: Sequence[Tensor], constants: object, shape: object) -> Tensor:
    rows, columns = _axes(op, x[0], op.filter)
    edges = (columns.before, columns.after, rows.before, rows.after)
    image = functional.pad(x[0].permute(0, 3, 1, 2), edges, value=float("-inf"))
    return functional.max_pool2d(image, op.filter, op.stride).permute(0, 2, 3, 1)


def _mean(op: Any, x: Sequence[Tensor], constants: Sequence[Array | None], shape: Any) -> Tensor:
    axes = sorted({axis % x[0].dim() for axis in _integers(constants[1])})
    return x[0].mean(dim=axes, keepdim=op.keep_dims)


def _pad(op: Any, x: Sequence[Tensor], constants: Sequence[Array | None], shape: Any) -> Tensor:
    widths = _integers(constants[1])
    pairs = [widths[i : i + 2] for i in range(0, len(widths), 2)]
    fill = float(x[2]) if isinstance(op, ops.PadV2) else 0.0
    return functional.pad(x[0], [width for pair in reversed(pairs) for width in pair], value=fill)


def _transposed(op: Any, x: Sequence[Tensor], constants: Any, shape: object) -> Tensor:
    return x[0].permute(_integers(constants[1]))


def _reshaped(op: Any, x: Sequence[Tensor], constants: object, shape: tuple[int, ...]) -> Tensor:
    return x[0].reshape(-1, *shape[1:])


_RULES: dict[type[ops.Op], _Rule] = {
    ops.Conv2D: _layer,
    ops.DepthwiseConv2D: _layer,
    ops.FullyConnected: _layer,
    ops.AveragePool2D: _average,
    ops.MaxPool2D: _largest,
    ops.Mean: _mean,
    ops.Add: lambda op, x, constants, shape: x[0] + x[1],
    ops.Sub: lambda op, x, constants, shape: x[0] - x[1],
    ops.Mul: lambda op, x, constants, shape: x[0] * x[1],
    ops.Concatenation: lambda op, x, constants, shape: torch.cat(list(x), dim=op.axis),
    ops.Pad: _pad,
    ops.PadV2: _pad,
    ops.Logistic: lambda op, x, constants, shape: torch.sigmoid(x[0]),
    ops.HardSwish: lambda op, x, constants, shape: functional.hardswish(x[0]),
    ops.Relu: lambda op, x, constants, shape: functional.relu(x[0]),
    ops.Relu6: lambda op, x, constants, shape: functional.relu6(x[0]),
    ops.Softmax: lambda op, x, constants, shape: torch.softmax(op.beta * x[0], dim=-1),
    ops.Reshape: _reshaped,
    ops.Squeeze: _reshaped,
    ops.ExpandDims: _reshaped,
    ops.Transpose: _transposed,
    ops.Quantize: lambda op, x, constants, shape: x[0],
}
