"""The weights and bias of a node between channels that were left out.

A node and what is known of its channels enter; its new weights and bias leave. What a row no longer
reads is in its bias. Rows of one known value have that in the bias and no weights; rows that only
keep others company have neither.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.graph import ops
from edgekit.graph.fixedpoint import Integers, wrap_int32
from edgekit.graph.ir import Graph, Node, Quantization, Tensor
from edgekit.graph.passes.folding.channels import Channels, Mask, computed_rows, read_columns
from edgekit.graph.passes.folding.intervals import Bounds
from edgekit.graph.reference.windows import Axis, pad, windows


def folded_weights(
    graph: Graph, node: Node, bounds: Bounds, found: Channels
) -> tuple[Tensor, Tensor]:
    """The constants of a Conv2D, DepthwiseConv2D or FullyConnected, under their old names.

    A node without a bias gets one. Sums are those of 32-bit integers: where a bias would overflow
    it wraps, as the sum of the same products did.
    """
    fold = _depthwise if isinstance(node.op, ops.DepthwiseConv2D) else _product
    x, weights = graph.inputs_of(node)[:2]
    present = found.present[node.outputs[0]]
    values, sums = fold(graph, node, bounds, found)
    quantization = _of_rows(weights, present)
    return (
        Tensor.constant(weights.name, np.ascontiguousarray(values), quantization),
        Tensor.constant(
            node.inputs[2] if len(node.inputs) > 2 else f"{node.outputs[0]}/bias",
            wrap_int32(sums[present]).astype(np.int32),
            _of_bias(x, quantization),
        ),
    )


def _product(
    graph: Graph, node: Node, bounds: Bounds, found: Channels
) -> tuple[npt.NDArray[np.int8], Integers]:
    """(rows, ..., columns) that are present, and a bias for every row."""
    x, weights = graph.inputs_of(node)[:2]
    zero, terms, bias = _terms(graph, node)
    depth = weights.shape[-1]
    by_tap = terms.reshape(len(terms), -1, depth)
    rows = computed_rows(node, bounds, found.needed[node.outputs[0]])
    columns = read_columns(graph, node, bounds, rows)
    fixed, value = bounds[x.name].channels()
    known = np.resize(np.where(fixed, value.astype(np.int64) - _zero_point(x), 0), depth)
    sums = bias + by_tap.sum(axis=1) @ np.where(columns, 0, known)
    window = _first_window(node, x, weights, bounds).reshape(-1, depth)
    sums = _sums(node, found, rows, sums, bias + np.einsum("otc,tc->o", by_tap, window))
    kept = np.where(rows.reshape(-1, *(1,) * (terms.ndim - 1)) & columns, terms, 0) + zero
    present = np.resize(found.present[x.name], depth)
    return kept.astype(np.int8)[found.present[node.outputs[0]]][..., present], sums


def _depthwise(
    graph: Graph, node: Node, bounds: Bounds, found: Channels
) -> tuple[npt.NDArray[np.int8], Integers]:
    x, weights = graph.inputs_of(node)[:2]
    zero, terms, bias = _terms(graph, node)
    rows = computed_rows(node, bounds, found.needed[node.outputs[0]])
    window = _first_window(node, x, weights, bounds)
    window = window.repeat(weights.shape[-1] // x.shape[-1], axis=-1)
    sums = _sums(node, found, rows, bias, bias + (terms[0] * window).sum(axis=(0, 1)))
    kept = np.where(rows, terms, 0) + zero
    return kept.astype(np.int8)[..., found.present[node.outputs[0]]], sums


def _terms(graph: Graph, node: Node) -> tuple[int, Integers, Integers]:
    """(zero point of the weights, weights less that, bias)."""
    weights = graph.tensors[node.inputs[1]]
    assert weights.data is not None
    zero = _zero_point(weights)
    count = weights.shape[-1 if isinstance(node.op, ops.DepthwiseConv2D) else 0]
    bias = np.zeros(count, np.int64)
    if len(node.inputs) > 2:
        bias += np.ravel(np.asarray(graph.tensors[node.inputs[2]].data, np.int64))
    return zero, weights.data.astype(np.int64) - zero, bias


def _sums(node: Node, found: Channels, rows: Mask, computed: Integers, first: Integers) -> Integers:
    """The bias of every row: computed rows, rows of one known value (some sum that gives it)."""
    needed = found.needed[node.outputs[0]]
    return np.asarray(np.where(rows, computed, np.where(needed, first, 0)))


def _first_window(node: Node, x: Tensor, weights: Tensor, bounds: Bounds) -> Integers:
    """What lies under the first window when the input is as low as it can be, less zero point."""
    values = bounds[x.name].low.astype(np.int64) - _zero_point(x)
    op = node.op
    if not isinstance(op, ops.Conv2D | ops.DepthwiseConv2D):
        return np.asarray(values.reshape(-1, weights.shape[-1])[0])
    rows, columns = (
        Axis.of(x.shape[i + 1], weights.shape[i + 1], op.stride[i], op.dilation[i], op.padding)
        for i in (0, 1)
    )
    return np.asarray(windows(pad(values, rows, columns, 0), rows, columns)[0, 0, 0])


def _zero_point(tensor: Tensor) -> int:
    assert tensor.quantization is not None  # `verify` sees to it
    return tensor.quantization.zero_point


def _of_rows(weights: Tensor, present: Mask) -> Quantization:
    given = weights.quantization
    assert given is not None
    if not given.is_per_channel:
        return given
    return Quantization(given.scales[present], given.zero_points[present], given.axis)


def _of_bias(x: Tensor, weights: Quantization) -> Quantization | None:
    """Input scale * weights' scale; none where float32 has no such small number."""
    assert x.quantization is not None
    scales = weights.scales * np.float32(x.quantization.scale)
    return Quantization(scales, np.zeros(len(scales), np.int64)) if (scales > 0).all() else None
