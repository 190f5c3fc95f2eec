"""Fold products and sums with constants into the weights and biases beside them.

A batch normalization arrives here as a product and a sum for each channel; so do input scaling and
the maps that lowered clips need. Computed in float64, stored in float32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
import numpy.typing as npt

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.passes.draft import Draft, rewrite
from edgekit.graph.passes.pads import same_padding

Vector = npt.NDArray[np.float64]
_Weighted = ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected


def fold_affine(graph: Graph) -> Graph:
    """The graph with affine maps folded into the weighted op before or after, where exact."""
    return rewrite(graph, _fold_back, _fold_forward)


def merge_affine(graph: Graph) -> Graph:
    """The graph with what affine maps remain as 1x1 depthwise convolutions.

    One op with a scale for each channel and a 32-bit bias, instead of two with one rounding each.
    A lone product or sum with a single number stays as it is.
    """
    return rewrite(graph, _as_depthwise)


def _affine(draft: Draft, node: Node) -> tuple[str, Vector] | None:
    """(source, constant for each channel) of a product or sum with a constant."""
    if not isinstance(node.op, ops.Mul | ops.Add):
        return None
    for source, other in (node.inputs, node.inputs[::-1]):
        values = draft.values(other)
        shape = draft.tensor(source).shape
        if values is None or draft.values(source) is not None or not shape:
            continue
        if draft.tensor(node.outputs[0]).shape != shape or values.size not in (1, shape[-1]):
            return None
        if values.size > 1 and values.shape[-1] != values.size:
            return None
        flat = values.astype(np.float64).reshape(-1)
        return source, np.broadcast_to(flat, (shape[-1],)).copy()
    return None


def _weights(draft: Draft, node: Node) -> tuple[Vector, Vector] | None:
    """(weights, bias) of a weighted op in float64; a missing bias is zeros."""
    if not isinstance(node.op, _Weighted):
        return None
    weights = draft.values(node.inputs[1])
    bias = draft.values(node.inputs[2]) if len(node.inputs) == 3 else np.zeros(1)
    if weights is None or bias is None:
        return None
    channels = draft.tensor(node.outputs[0]).shape[-1]
    return weights.astype(np.float64), np.broadcast_to(bias.astype(np.float64), (channels,)).copy()


def _reweighted(draft: Draft, node: Node, weights: Vector, bias: Vector) -> Node:
    """The node with other weights and bias."""
    if len(node.inputs) == 3:
        new_bias = draft.revised_constant(node.inputs[2], bias)
    else:
        new_bias = draft.add_constant(f"{node.outputs[0]}/bias", bias)
    new_weights = draft.revised_constant(node.inputs[1], weights)
    return replace(node, inputs=(node.inputs[0], new_weights, new_bias))


def _fold_back(draft: Draft, node: Node) -> bool:
    """conv -> affine becomes conv."""
    found = _affine(draft, node)
    before = draft.writer(found[0]) if found else None
    parts = _weights(draft, before) if before else None
    if found is None or before is None or parts is None:
        return False
    weighted = cast(_Weighted, before.op)
    if weighted.activation is not Activation.NONE or draft.only_reader(found[0]) is not node:
        return False
    (weights, bias), values = parts, found[1]
    if isinstance(node.op, ops.Mul):
        last = isinstance(before.op, ops.DepthwiseConv2D)
        weights *= values if last else values.reshape(-1, *[1] * (weights.ndim - 1))
        bias *= values
    else:
        bias += values
    folded = _reweighted(draft, before, weights, bias)
    op = replace(weighted, activation=cast(ops.Mul, node.op).activation)
    draft.replace(node)
    draft.replace(before, replace(folded, op=op, outputs=node.outputs))
    return True


def _fold_forward(draft: Draft, node: Node) -> bool:
    """affine -> conv becomes conv; a product also crosses what keeps products."""
    found = _affine(draft, node)
    if found is None or cast(ops.Mul, node.op).activation is not Activation.NONE:
        return False
    source, values = found
    after = _layer_after(draft, node, values)
    parts = _weights(draft, after) if after else None
    if after is None or parts is None:
        return False
    weights, bias = parts
    columns = _columns(draft, after, weights, values)
    if columns is None or (isinstance(node.op, ops.Add) and _is_padded(draft, after)):
        return False
    if isinstance(node.op, ops.Mul):
        weights = weights * columns
    elif isinstance(after.op, ops.DepthwiseConv2D):
        bias = bias + (weights * columns).sum(axis=(0, 1, 2))
    else:
        bias = bias + (weights * columns).reshape(len(weights), -1).sum(axis=1)
    draft.replace(after, _reweighted(draft, after, weights, bias))
    return draft.bypass(node, source)


def _layer_after(draft: Draft, node: Node, values: Vector) -> Node | None:
    """The only weighted op that an affine map's result reaches, as its data."""
    name = node.outputs[0]
    after = draft.only_reader(name)
    while (
        after is not None
        and isinstance(node.op, ops.Mul)
        and _keeps_products(draft, after, name, uniform=bool(np.all(values == values[0])))
    ):
        name = after.outputs[0]
        after = draft.only_reader(name)
    weighted = after is not None and isinstance(after.op, _Weighted)
    return after if after is not None and weighted and after.inputs[0] == name else None


def _keeps_products(draft: Draft, node: Node, name: str, *, uniform: bool) -> bool:
    """Whether scaling this input by a constant scales the output by it."""
    if isinstance(node.op, ops.Pad):
        return True
    if not uniform or getattr(node.op, "activation", Activation.NONE) is not Activation.NONE:
        return False
    if isinstance(node.op, ops.Mul):
        return all(draft.values(other) is None for other in node.inputs) and (
            node.inputs.count(name) == 1
        )
    return isinstance(node.op, ops.Mean | ops.AveragePool2D | ops.Reshape)


def _columns(draft: Draft, node: Node, weights: Vector, values: Vector) -> Vector | None:
    """The input channels' constants, to be multiplied with the weights; None if they do not map."""
    shape = draft.tensor(node.inputs[0]).shape
    if isinstance(node.op, ops.DepthwiseConv2D):
        return np.repeat(values, weights.shape[3] // shape[3])
    if weights.shape[-1] == len(values):
        return values
    uniform = bool(np.all(values == values[0]))
    return values[:1] if uniform else None


def _is_padded(draft: Draft, node: Node) -> bool:
    """Whether a weighted op sees zeros beyond its input."""
    if (
        isinstance(node.op, ops.FullyConnected)
        or cast(ops.Conv2D, node.op).padding is Padding.VALID
    ):
        return False
    op = cast(ops.Conv2D, node.op)
    shape, kernel = draft.tensor(node.inputs[0]).shape, draft.tensor(node.inputs[1]).shape
    return any(
        sum(same_padding(shape[i], kernel[i], op.stride[i - 1], op.dilation[i - 1])) > 0
        for i in (1, 2)
    )


def _as_depthwise(draft: Draft, node: Node) -> bool:
    """A product and a sum, or either for each channel, become one 1x1 depthwise convolution."""
    found = _affine(draft, node)
    if found is None or len(draft.tensor(found[0]).shape) != 4:
        return False
    source, values = found
    scale, offset, last = np.ones_like(values), np.zeros_like(values), node
    if isinstance(node.op, ops.Mul):
        scale = values
        after = draft.only_reader(node.outputs[0])
        following = _affine(draft, after) if after and isinstance(after.op, ops.Add) else None
        if after and following and node.op.activation is Activation.NONE:
            offset, last = following[1], after
    else:
        offset = values
    if last is node and bool(np.all(values == values[0])):
        return False
    inputs = (
        source,
        draft.add_constant(f"{last.outputs[0]}/scale", scale.reshape(1, 1, 1, -1)),
        draft.add_constant(f"{last.outputs[0]}/offset", offset),
    )
    op = ops.DepthwiseConv2D(padding=Padding.VALID, activation=cast(ops.Mul, last.op).activation)
    if last is not node:
        draft.replace(node)
    draft.replace(last, Node(last.name, op, inputs, last.outputs))
    return True
