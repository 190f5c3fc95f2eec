"""Which graphs may be computed on many samples at once, and on how many.

A graph is written for one sample: its inputs have a leading 1. Stacking samples along that axis is
right only if every op treats the leading dimension of every activation as independent samples; if
one does not, samples are computed one by one. Large activations allow few samples, so that memory
stays bounded whatever the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Tensor

# Enough to amortise each node's constants.
SAMPLES_TOGETHER = 64
# For what the largest node reads and writes, at all threads together.
_BYTES_TOGETHER = 256 << 20
# An element at work: floats are float32, and integers are summed as such.
_ELEMENT_BYTES = 4


def samples_together(graph: Graph, threads: int = 1) -> int:
    """The most samples that each thread computes at once; at least 1."""
    if not carries_batch(graph):
        return 1
    largest = max((_elements_at(graph, node) for node in graph.nodes), default=0)
    fitting = _BYTES_TOGETHER // max(1, threads * largest * _ELEMENT_BYTES)
    return max(1, min(SAMPLES_TOGETHER, fitting))


def _elements_at(graph: Graph, node: Node) -> int:
    """Elements of the activations that a node reads and writes for one sample."""
    tensors = {t.name: t for t in (*graph.inputs_of(node), *graph.outputs_of(node))}
    return sum(tensor.elements for tensor in tensors.values() if not tensor.is_constant)


def carries_batch(graph: Graph) -> bool:
    """Whether the leading 1 of the inputs passes through every op untouched.

    Activations that do not depend on the graph's inputs are the same for all samples; if an op
    joins one with an activation that does, the answer is no.
    """
    batched = set(graph.inputs)
    if not all(_has_leading_one(graph.tensors[name]) for name in graph.inputs):
        return False
    for node in graph.nodes:
        activations = [t for t in graph.inputs_of(node) if not t.is_constant]
        if not any(tensor.name in batched for tensor in activations):
            continue
        if not all(tensor.name in batched for tensor in activations):
            return False
        if not all(_has_leading_one(tensor) for tensor in graph.outputs_of(node)):
            return False
        rule = _RULES.get(type(node.op), _always)
        if not rule(node, graph):
            return False
        batched.update(node.outputs)
    return all(name in batched for name in graph.outputs)


def _has_leading_one(tensor: Tensor) -> bool:
    return len(tensor.shape) > 0 and tensor.shape[0] == 1


def _always(node: Node, graph: Graph) -> bool:
    return True


def _same_rows(node: Node, graph: Graph) -> bool:
    """FullyConnected: one row of inputs a sample."""
    data, weights = graph.inputs_of(node)[:2]
    keeps_dims: bool = node.op.keep_dims  # type: ignore[attr-defined]
    return keeps_dims or data.elements == weights.shape[-1]


def _first_axis_kept(node: Node, graph: Graph) -> bool:
    """Mean: axis 0 is not among the axes."""
    data, axes = graph.inputs_of(node)
    rank = len(data.shape)
    return axes.data is not None and all(int(a) % rank != 0 for a in axes.data.reshape(-1))


def _same_rank(node: Node, graph: Graph) -> bool:
    """Broadcasting: operands of the output's rank with leading 1, or shorter constants."""
    rank = len(graph.outputs_of(node)[0].shape)
    return all(
        _has_leading_one(tensor) if len(tensor.shape) == rank else tensor.is_constant
        for tensor in graph.inputs_of(node)
    )


def _joined_elsewhere(node: Node, graph: Graph) -> bool:
    """Concatenation: not along axis 0, and of activations only."""
    tensors = graph.inputs_of(node)
    axis: int = node.op.axis  # type: ignore[attr-defined]
    return axis % len(tensors[0].shape) != 0 and not any(t.is_constant for t in tensors)


def _unpadded(node: Node, graph: Graph) -> bool:
    """Pad, PadV2: nothing in front of or behind the batch."""
    widths = graph.inputs_of(node)[1].data
    return widths is not None and not widths.reshape(-1, 2)[0].any()


def _leading_axis_first(node: Node, graph: Graph) -> bool:
    """Transpose: axis 0 stays where it is."""
    permutation = graph.inputs_of(node)[1].data
    return permutation is not None and int(permutation[0]) == 0


def _split_elsewhere(node: Node, graph: Graph) -> bool:
    """Split: not along axis 0."""
    axis, data = graph.inputs_of(node)
    return axis.data is not None and int(axis.data.reshape(-1)[0]) % len(data.shape) != 0


def _more_than_one_axis(node: Node, graph: Graph) -> bool:
    """Softmax: its last axis is not the batch."""
    return len(graph.inputs_of(node)[0].shape) > 1


_RULES: dict[type[Any], Callable[[Node, Graph], bool]] = {
    ops.FullyConnected: _same_rows,
    ops.Mean: _first_axis_kept,
    ops.Add: _same_rank,
    ops.Sub: _same_rank,
    ops.Mul: _same_rank,
    ops.Concatenation: _joined_elsewhere,
    ops.Pad: _unpadded,
    ops.PadV2: _unpadded,
    ops.Transpose: _leading_axis_first,
    ops.Split: _split_elsewhere,
    ops.Softmax: _more_than_one_axis,
}
