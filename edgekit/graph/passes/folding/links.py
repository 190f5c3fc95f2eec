"""How the channels (indices of the last axis) of a node's outputs hang on those of its inputs.

A node enters; its `Link`s leave: channel j of an output is there exactly where channel source[j] of
an input is. Products (Conv2D of one group, FullyConnected) link nothing: their weights have a row
for each output channel and a column for each input channel. Of all other nodes, None says that
channels cannot be taken out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Tensor

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Link:
    """From an input to the node's output.

    Attributes:
        operand: position of the input.
        source: for each channel of the output, the input's channel, or -1.
    """

    operand: int
    source: Indices


def channel_count(tensor: Tensor) -> int:
    """Elements along the last axis; 1 for a tensor without axes."""
    return tensor.shape[-1] if tensor.shape else 1


def is_product(graph: Graph, node: Node) -> bool:
    """Whether int8 weights join every input channel with every output channel."""
    if not isinstance(node.op, ops.Conv2D | ops.FullyConnected):
        return False
    x, weights = graph.inputs_of(node)[:2]
    if x.is_constant or x.dtype is not DType.INT8 or weights.dtype is not DType.INT8:
        return False
    if isinstance(node.op, ops.Conv2D):
        return weights.shape[-1] == channel_count(x)
    return not weights.shape[1] % channel_count(x)


def links(graph: Graph, node: Node) -> tuple[Link, ...] | None:
    """The links of a node that is no product; None if its channels have to stay together."""
    rule = _RULES.get(type(node.op))
    return rule(node.op, graph, node) if rule else None


def _same(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...]:
    return (Link(0, np.arange(channel_count(graph.tensors[node.outputs[0]]))),)


def _depthwise(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...] | None:
    if any(tensor.dtype is not DType.INT8 for tensor in graph.inputs_of(node)[:2]):
        return None
    inputs, outputs = (channel_count(graph.tensors[n]) for n in (node.inputs[0], node.outputs[0]))
    return (Link(0, np.arange(outputs) // (outputs // inputs)),)


def _binary(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...]:
    """One value for all channels, broadcast, stays what it is."""
    count = channel_count(graph.tensors[node.outputs[0]])
    return tuple(
        Link(position, np.arange(count))
        for position, tensor in enumerate(graph.inputs_of(node))
        if channel_count(tensor) == count
    )


def _mean(op: ops.Mean, graph: Graph, node: Node) -> tuple[Link, ...] | None:
    x, axes = graph.inputs_of(node)
    last = len(x.shape) - 1
    reduced = {int(axis) % len(x.shape) for axis in np.ravel(_data(axes))}
    return None if last in reduced else _same(op, graph, node)


def _concatenation(op: ops.Concatenation, graph: Graph, node: Node) -> tuple[Link, ...]:
    output = graph.tensors[node.outputs[0]]
    along_channels = op.axis % len(output.shape) == len(output.shape) - 1
    found, start = [], 0
    for position, tensor in enumerate(graph.inputs_of(node)):
        source = np.arange(channel_count(output)) - start
        source[(source < 0) | (source >= channel_count(tensor))] = -1
        found.append(Link(position, source))
        start += channel_count(tensor) if along_channels else 0
    return tuple(found)


def _pad(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...] | None:
    widths = _data(graph.tensors[node.inputs[1]]).reshape(-1, 2)
    return None if widths[-1].any() else _same(op, graph, node)


def _transpose(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...] | None:
    order = np.ravel(_data(graph.tensors[node.inputs[1]]))
    return _same(op, graph, node) if len(order) and order[-1] in (-1, len(order) - 1) else None


def _reshape(op: ops.Op, graph: Graph, node: Node) -> tuple[Link, ...] | None:
    """Rows of the output are whole rows of the input, one behind the other."""
    inputs, outputs = (channel_count(graph.tensors[n]) for n in (node.inputs[0], node.outputs[0]))
    if outputs % inputs or not graph.tensors[node.outputs[0]].shape:
        return None
    return (Link(0, np.arange(outputs) % inputs),)


def _data(tensor: Tensor) -> npt.NDArray[Any]:
    assert tensor.data is not None  # `verify` sees to it
    return tensor.data


_RULES: Mapping[type[ops.Op], Callable[[Any, Graph, Node], tuple[Link, ...] | None]] = {
    ops.DepthwiseConv2D: _depthwise,
    ops.AveragePool2D: _same,
    ops.MaxPool2D: _same,
    ops.Mean: _mean,
    ops.Add: _binary,
    ops.Sub: _binary,
    ops.Mul: _binary,
    ops.Concatenation: _concatenation,
    ops.Pad: _pad,
    ops.PadV2: _pad,
    ops.Logistic: _same,
    ops.HardSwish: _same,
    ops.Relu: _same,
    ops.Relu6: _same,
    ops.Quantize: _same,
    ops.Dequantize: _same,
    ops.Reshape: _reshape,
    ops.Squeeze: _reshape,
    ops.ExpandDims: _reshape,
    ops.Transpose: _transpose,
}
