"""Fold Pads into the windowed op that follows, where TFLite's SAME says the same.

A SAME convolution reads zeros beyond its borders; a SAME max pool reads nothing there, which is a
padding of minus infinity, and of zeros too if nothing is negative.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.passes.draft import Draft, rewrite

Pairs = tuple[tuple[int, int], ...]

_WINDOWED = ops.Conv2D | ops.DepthwiseConv2D | ops.MaxPool2D
_LOWEST = -1e30  # what counts as minus infinity for a network's activations
_NOT_NEGATIVE = (ops.Relu, ops.Relu6, ops.Logistic, ops.Softmax)
_PASSING = (ops.MaxPool2D, ops.AveragePool2D, ops.Pad, ops.Concatenation, ops.Reshape, ops.Mean)


def fold_pads(graph: Graph) -> Graph:
    """The graph with as few Pads as TFLite's two paddings allow."""
    return rewrite(graph, _pad_of_pad, _pad_zeros, _use_same)


def same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """(before, after) of TFLite's SAME: the odd one goes to the end."""
    count = -(-size // stride)
    total = max(0, (count - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _paddings(draft: Draft, node: Node | None) -> Pairs | None:
    """The pairs of a Pad or PadV2."""
    if node is None or not isinstance(node.op, ops.Pad | ops.PadV2):
        return None
    values = draft.values(node.inputs[1])
    return None if values is None else tuple((int(a), int(b)) for a, b in values)


def _pad_of_pad(draft: Draft, node: Node) -> bool:
    outer = _paddings(draft, node)
    inner_node = draft.writer(node.inputs[0])
    inner = _paddings(draft, inner_node)
    if outer is None or inner is None or inner_node is None:
        return False
    if not (isinstance(node.op, ops.Pad) and isinstance(inner_node.op, ops.Pad)):
        return False
    total = np.array(outer, np.int32) + np.array(inner, np.int32)
    constant = draft.add_constant(node.inputs[1], total)
    draft.replace(node, replace(node, inputs=(inner_node.inputs[0], constant)))
    return True


def _pads_lowest(draft: Draft, node: Node) -> bool:
    """Whether the padding stands for minus infinity."""
    if not isinstance(node.op, ops.PadV2):
        return False
    value = draft.values(node.inputs[2])
    return value is not None and float(value.reshape(-1)[0]) <= _LOWEST


def _ignores_zeros(draft: Draft, pool: Node, source: str) -> bool:
    """Whether zeros beside the input cannot change a max pool's output."""
    activation = cast(ops.MaxPool2D, pool.op).activation
    return activation in (Activation.RELU, Activation.RELU6) or is_not_negative(draft, source)


def is_not_negative(draft: Draft, name: str) -> bool:
    """Whether an activation is >= 0 whatever the network's input."""
    node = draft.writer(name)
    if node is None:
        return False
    activation = getattr(node.op, "activation", Activation.NONE)
    if isinstance(node.op, _NOT_NEGATIVE) or activation in (Activation.RELU, Activation.RELU6):
        return True
    if not isinstance(node.op, _PASSING):
        return False
    sources = node.inputs if isinstance(node.op, ops.Concatenation) else node.inputs[:1]
    return all(is_not_negative(draft, source) for source in sources)


def _pad_zeros(draft: Draft, node: Node) -> bool:
    """Minus infinity before a max pool becomes zeros where that is the same: all chips have PAD."""
    if not _pads_lowest(draft, node):
        return False
    pools = draft.readers(node.outputs[0])
    if not all(
        isinstance(pool.op, ops.MaxPool2D) and _ignores_zeros(draft, pool, node.inputs[0])
        for pool in pools
    ):
        return False
    draft.replace(node, replace(node, op=ops.Pad(), inputs=node.inputs[:2]))
    return True


def _use_same(draft: Draft, node: Node) -> bool:
    """Pad -> windows becomes windows with SAME."""
    pad = draft.writer(node.inputs[0]) if node.inputs else None
    pairs = _paddings(draft, pad)
    if pad is None or pairs is None or not isinstance(node.op, _WINDOWED):
        return False
    source = pad.inputs[0]
    if isinstance(node.op, ops.MaxPool2D):
        fits = _pads_lowest(draft, pad) or (
            isinstance(pad.op, ops.Pad) and _ignores_zeros(draft, node, source)
        )
    else:
        fits = isinstance(pad.op, ops.Pad)
    if not fits or any(pairs[0]) or any(pairs[3]):
        return False
    if not all(_is_same(draft, node, source, pairs, axis) for axis in (1, 2)):
        return False
    op = replace(node.op, padding=Padding.SAME)
    draft.replace(node, replace(node, op=op, inputs=(source, *node.inputs[1:])))
    return True


def _is_same(draft: Draft, node: Node, source: str, pairs: Pairs, axis: int) -> bool:
    """Whether SAME over the source has the windows that the node has over the padded source.

    What is padded behind the last window does not matter.
    """
    op = cast(ops.Conv2D, node.op)
    pool = isinstance(node.op, ops.MaxPool2D)
    kernel = node.op.filter[axis - 1] if isinstance(node.op, ops.MaxPool2D) else 0
    kernel = kernel or draft.tensor(node.inputs[1]).shape[axis]
    stride, dilation = op.stride[axis - 1], 1 if pool else op.dilation[axis - 1]
    size = draft.tensor(source).shape[axis]
    before = pairs[axis][0]
    if op.padding is Padding.SAME:
        padded = draft.tensor(node.inputs[0]).shape[axis]
        before += same_padding(padded, kernel, stride, dilation)[0]
    count = draft.tensor(node.outputs[0]).shape[axis]
    return count == -(-size // stride) and before == same_padding(size, kernel, stride, dilation)[0]
