"""What a node's work can be counted in, whoever does it: pixels, products, values on the border.

A node and its graph enter; numbers by name leave, of which `cost` takes a weighted sum for each
kernel. They follow from shapes and parameters alone and are the same for every kernel of an op, so
a new kernel needs no line here. Some count whole blocks, as kernels work in those: a word is four
values, a block of a convolution four pixels of a channel, a vector sixteen values; what is odd has
a length that no word divides, what is linear has no activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.reference.windows import Axis

Quantities = Mapping[str, int]
_Window = ops.Conv2D | ops.DepthwiseConv2D | ops.AveragePool2D | ops.MaxPool2D


def quantities(graph: Graph, node: Node) -> Quantities:
    """The quantities of a node; "calls" is 1, for what its size does not change."""
    op = node.op
    match op:
        case ops.Conv2D():
            return _conv(graph, node, op)
        case ops.DepthwiseConv2D():
            return _depthwise(graph, node, op)
        case ops.FullyConnected():
            return _dense(graph, node)
        case ops.AveragePool2D() | ops.MaxPool2D():
            return _pool(graph, node, op)
        case ops.Mean():
            return _mean(graph, node)
    return _elementwise(graph, node)


def _conv(graph: Graph, node: Node, op: ops.Conv2D) -> Quantities:
    channels, height, width, depth = graph.tensors[node.inputs[1]].shape
    windows = _Windows.of(graph, node, (height, width), op)
    pixels, window = windows.count, height * width * depth
    words, blocks = -(-window // 4), -(-windows.count // 4) * channels
    gathers = (height, width, *op.stride) != (1, 1, 1, 1)
    inside = pixels - windows.at_border if gathers else 0
    taps_at_border = windows.at_border * height * width
    return {
        "calls": 1,
        "channels": channels,
        "weights": channels * window,
        "rows": windows.rows,
        "pixels": pixels,
        "values": pixels * channels,
        "macs": pixels * channels * window,
        "read": pixels * window,
        "read_words": pixels * words,
        "odd_read": pixels * window if window % 4 else 0,
        "gathered": pixels if gathers else 0,
        "gathered_lines": inside * height,
        "gathered_bytes": inside * window,
        "gathered_words": inside * height * -(-width * depth // 4),
        "border_windows": windows.at_border,
        "border_taps": taps_at_border,
        "border_bytes": taps_at_border * depth,
        "border_words": taps_at_border * -(-depth // 4),
        "odd_values": pixels * channels if window % 4 else 0,
        "linear_values": 0 if _is_clamped(op) else pixels * channels,
        "blocks": blocks,
        "words_of_blocks": blocks * words,
        "left_values": pixels % 4 * channels,
        "left_macs": pixels % 4 * channels * window,
        "vectors_of_blocks": blocks * -(-window // 16),
        "vectors_read": pixels * -(-window // 16),
    }


def _depthwise(graph: Graph, node: Node, op: ops.DepthwiseConv2D) -> Quantities:
    _, height, width, channels = graph.tensors[node.inputs[1]].shape
    windows, taps = _Windows.of(graph, node, (height, width), op), height * width
    pixels, border = windows.count, windows.at_border
    fours, sixteens = -(-channels // 4), -(-channels // 16)
    is_strided = op.stride != (1, 1)
    return {
        "calls": 1,
        "channels": channels,
        "weights": channels * taps,
        "rows": windows.rows,
        "pixels": pixels,
        "values": pixels * channels,
        "taps": pixels * taps,
        "macs": pixels * channels * taps,
        "fours": pixels * fours,
        "macs_of_fours": pixels * fours * taps,
        "values_but_of_3x3": 0 if taps == 9 else pixels * channels,
        "macs_but_of_3x3": 0 if taps == 9 else pixels * channels * taps,
        "lines": pixels * channels * height,
        "strided_values": pixels * channels if is_strided else 0,
        "strided_macs": pixels * channels * taps if is_strided else 0,
        "border_windows": border,
        "border_values": border * channels,
        "border_taps": border * taps,
        "border_macs": border * channels * taps,
        "border_words": border * fours * taps,
        "rows_of_channels": windows.rows * channels,
        "pairs": windows.rows * -(-windows.columns // 2) * channels,
        "inputs": graph.tensors[node.inputs[0]].elements,
        "linear_values": 0 if _is_clamped(op) else pixels * channels,
        "vectors": pixels * sixteens,
        "vectors_of_macs": pixels * sixteens * taps,
        "vectors_at_border": border * sixteens * taps,
    }


def _dense(graph: Graph, node: Node) -> Quantities:
    outputs, inputs = graph.tensors[node.inputs[1]].shape
    rows = graph.tensors[node.inputs[0]].elements // inputs
    return {
        "calls": 1,
        "rows": rows,
        "inputs": rows * inputs,
        "values": rows * outputs,
        "macs": rows * outputs * inputs,
        "words": rows * outputs * -(-inputs // 4),
        "odd_values": rows * outputs if inputs % 4 else 0,
        "blocks": rows * -(-outputs // 4),
        "linear_values": 0 if _is_clamped(node.op) else rows * outputs,
        "vectors": rows * outputs * -(-inputs // 16),
    }


def _pool(graph: Graph, node: Node, op: ops.AveragePool2D | ops.MaxPool2D) -> Quantities:
    windows, output = _Windows.of(graph, node, op.filter, op), graph.tensors[node.outputs[0]]
    channels = output.shape[3]
    return {
        "calls": 1,
        "rows": windows.rows,
        "pixels": windows.count,
        "values": output.elements,
        "taps": windows.taps_inside,
        "read": windows.taps_inside * channels,
        "words": windows.taps_inside * -(-channels // 4),
        "lines": output.elements * op.filter[0],
        "vectors": windows.taps_inside * -(-channels // 16),
    }


def _mean(graph: Graph, node: Node) -> Quantities:
    source, axes = graph.inputs_of(node)
    output = graph.tensors[node.outputs[0]]
    assert axes.data is not None
    last = max(axis % len(source.shape) for axis in np.ravel(axes.data).tolist())
    return {
        "calls": 1,
        "values": output.elements,
        "inputs": source.elements,
        "lines": source.elements // max(1, source.shape[last]),
        "vectors": -(-source.elements // 16),
    }


def _elementwise(graph: Graph, node: Node) -> Quantities:
    """Whatever goes through its values once; rows are those of the last dimension."""
    inputs = [tensor for tensor in graph.inputs_of(node) if not tensor.is_constant]
    output = graph.outputs_of(node)[0]
    length = max(1, output.shape[-1] if output.shape else 1)
    rows = output.elements // length
    is_broadcast = any(tensor.elements < output.elements for tensor in inputs)
    return {
        "calls": 1,
        "rows": rows,
        "values": output.elements,
        "words": rows * -(-length // 4),
        "inputs": sum(tensor.elements for tensor in inputs),
        "added_values": max(0, output.elements - sum(tensor.elements for tensor in inputs)),
        "odd_values": output.elements if length % 4 else 0,
        "broadcast_values": output.elements if is_broadcast else 0,
        "broadcast_rows": rows if is_broadcast else 0,
        "vectors": -(-output.elements // 16),
    }


def _is_clamped(op: ops.Op) -> bool:
    return getattr(op, "activation", ops.Activation.NONE) is not ops.Activation.NONE


@dataclass(frozen=True)
class _Windows:
    """Where a window lies on all images.

    Attributes:
        count: of positions.
        rows, columns: of them, the rows of all images.
        at_border: positions that lap over the border.
        taps_inside: of all positions, those of the window's elements that lie on an image.
    """

    count: int
    rows: int
    columns: int
    at_border: int
    taps_inside: int

    @staticmethod
    def of(graph: Graph, node: Node, window: tuple[int, ...], op: _Window) -> _Windows:
        batches, *sizes, _ = graph.tensors[node.inputs[0]].shape
        dilation = getattr(op, "dilation", (1, 1))
        rows, columns = (
            Axis.of(size, taps, stride, apart, op.padding)
            for size, taps, stride, apart in zip(sizes, window, op.stride, dilation, strict=True)
        )
        count = batches * rows.count * columns.count
        whole = [int((axis.taps_inside() == axis.taps).sum()) for axis in (rows, columns)]
        return _Windows(
            count,
            batches * rows.count,
            columns.count,
            count - batches * prod(whole),
            batches * int(rows.taps_inside().sum() * columns.taps_inside().sum()),
        )
