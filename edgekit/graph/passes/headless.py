"""Leave the classifier out: a network that ends in features instead of class scores.

A graph, float or integer, with one output enters; the graph that ends where the last layer with
weights begins leaves. Refused: graphs whose end is no classifier.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node

# What may stand behind the classifier's weights.
_BEHIND = (ops.Softmax, ops.Logistic, ops.Reshape, ops.Squeeze, ops.Dequantize)


def headless(graph: Graph) -> Graph:
    """The graph up to the input of its classifier.

    Raises:
        UnsupportedError: the last layer is neither FULLY_CONNECTED nor a 1x1 convolution of 1x1
            pixels, or there are several outputs.
    """
    classifier = _classifier(graph)
    features = classifier.inputs[0]
    nodes = graph.nodes[: graph.nodes.index(classifier)]
    shorter = replace(graph, outputs=(features,))
    return shorter.with_nodes(_needed(nodes, features), graph.tensors)


def _classifier(graph: Graph) -> Node:
    node = graph.producer(graph.outputs[0]) if len(graph.outputs) == 1 else None
    while node is not None and isinstance(node.op, _BEHIND):
        node = graph.producer(node.inputs[0])
    if node is not None:
        shape = graph.tensors[node.outputs[0]].shape
        if isinstance(node.op, ops.FullyConnected):
            return node
        if isinstance(node.op, ops.Conv2D) and shape[1:3] == (1, 1):
            return node
    raise UnsupportedError(
        f"Graph '{graph.name}' does not end in a classifier that could be left out.",
        hint="--embedding needs a fully connected layer, or a 1x1 convolution, at the end.",
    )


def _needed(nodes: tuple[Node, ...], output: str) -> tuple[Node, ...]:
    """The nodes that the output depends on."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(node.inputs)
    return tuple(reversed(kept))
