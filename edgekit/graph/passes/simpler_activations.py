"""Activations that integer kernels compute better in place of those a network was trained with.

A float graph enters; one that computes something else, nearly, leaves: it has to be trained a
little. Swish, x * sigmoid(x), becomes HARD_SWISH (Howard et al. 2019, arXiv:1905.02244, section
5.2), one table instead of a table and a product that is rounded twice; a network that has no swish
has its HARD_SWISH made RELU6, which costs nothing and needs no negative half of its range. Gates of
squeeze and excitation stay: their sigmoid is of another tensor.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.passes.draft import Draft, rewrite


def simplify_activations(graph: Graph) -> Graph:
    """The graph with simpler activations; the graph itself if it has none to simplify."""
    simpler = rewrite(graph, _swish)
    return simpler if simpler is not graph else rewrite(graph, _hard_swish)


def _swish(draft: Draft, node: Node) -> bool:
    if not isinstance(node.op, ops.Mul) or node.op.activation is not ops.Activation.NONE:
        return False
    for x, other in (node.inputs, node.inputs[::-1]):
        gate = draft.writer(other)
        if gate is not None and isinstance(gate.op, ops.Logistic) and gate.inputs == (x,):
            draft.replace(node, replace(node, op=ops.HardSwish(), inputs=(x,)))
            return True
    return False


def _hard_swish(draft: Draft, node: Node) -> bool:
    if not isinstance(node.op, ops.HardSwish):
        return False
    draft.replace(node, replace(node, op=ops.Relu6()))
    return True
