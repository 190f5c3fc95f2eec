"""Global average pools as MEAN, without the dimensions nobody reads.

MEAN rather than AVERAGE_POOL_2D: every target has both, but a quantized AVERAGE_POOL_2D keeps its
input's scale, and averages of many values use only a small part of that range. MEAN's output has a
scale of its own.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation
from edgekit.graph.passes.draft import Draft, rewrite


def use_means(graph: Graph) -> Graph:
    """The graph with MEAN for pools over everything, and no Reshape behind one that drops ones."""
    return rewrite(graph, _pool_as_mean, _drop_dims)


def _pool_as_mean(draft: Draft, node: Node) -> bool:
    op = node.op
    if not isinstance(op, ops.AveragePool2D) or op.activation is not Activation.NONE:
        return False
    source, output = draft.tensor(node.inputs[0]).shape, draft.tensor(node.outputs[0]).shape
    if op.filter != source[1:3] or output[1:3] != (1, 1):
        return False
    axes = draft.add_constant(f"{node.outputs[0]}/axes", np.array([1, 2], np.int32))
    mean = Node(node.name, ops.Mean(keep_dims=True), (node.inputs[0], axes), node.outputs)
    draft.replace(node, mean)
    return True


def _drop_dims(draft: Draft, node: Node) -> bool:
    mean = draft.writer(node.inputs[0])
    if mean is None or not isinstance(node.op, ops.Reshape) or not isinstance(mean.op, ops.Mean):
        return False
    if not mean.op.keep_dims or draft.only_reader(mean.outputs[0]) is not node:
        return False
    shape = draft.tensor(mean.inputs[0]).shape
    axes = draft.values(mean.inputs[1])
    dropped = set() if axes is None else {int(axis) % len(shape) for axis in axes.reshape(-1)}
    rest = tuple(size for i, size in enumerate(shape) if i not in dropped)
    if draft.tensor(node.outputs[0]).shape != rest:
        return False
    draft.replace(mean)
    draft.replace(node, Node(mean.name, ops.Mean(keep_dims=False), mean.inputs, node.outputs))
    return True
