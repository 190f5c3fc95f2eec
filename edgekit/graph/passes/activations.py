"""Fuse RELU and RELU6 into the op before, where TFLite's kernels have a fused activation."""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation
from edgekit.graph.passes.draft import Draft, rewrite

# CONCATENATION has the option, but no runtime computes it.
_HOSTS = (
    ops.Conv2D,
    ops.DepthwiseConv2D,
    ops.FullyConnected,
    ops.Add,
    ops.Sub,
    ops.Mul,
    ops.AveragePool2D,
    ops.MaxPool2D,
)
_NODES = {ops.Relu: Activation.RELU, ops.Relu6: Activation.RELU6}
# What one activation after another is, for those that are one again.
_CHAINED = {
    (Activation.NONE, Activation.RELU): Activation.RELU,
    (Activation.NONE, Activation.RELU6): Activation.RELU6,
    (Activation.RELU, Activation.RELU): Activation.RELU,
    (Activation.RELU, Activation.RELU6): Activation.RELU6,
    (Activation.RELU6, Activation.RELU): Activation.RELU6,
    (Activation.RELU6, Activation.RELU6): Activation.RELU6,
}


def fuse_activations(graph: Graph) -> Graph:
    """The graph with RELU and RELU6 nodes inside the only op they follow."""
    return rewrite(graph, _fuse)


def _fuse(draft: Draft, node: Node) -> bool:
    after = _NODES.get(type(node.op))
    before = draft.writer(node.inputs[0])
    if after is None or before is None or draft.only_reader(node.inputs[0]) is not node:
        return False
    if type(before.op) in _NODES:
        both = _CHAINED[_NODES[type(before.op)], after]
        kind = ops.Relu if both is Activation.RELU else ops.Relu6
        draft.replace(before)
        draft.replace(node, replace(node, op=kind(), inputs=before.inputs))
        return True
    if not isinstance(before.op, _HOSTS) or (before.op.activation, after) not in _CHAINED:
        return False
    op = replace(before.op, activation=_CHAINED[before.op.activation, after])
    draft.replace(node)
    draft.replace(before, replace(before, op=op, outputs=node.outputs))
    return True
