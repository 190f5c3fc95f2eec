"""Does a network name classes, and where are the scores it names them by?"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from edgekit.graph import ops
from edgekit.graph.ir import Graph

# What may stand between a softmax and the output it is the heart of.
_AFTER_SOFTMAX = (ops.Dequantize, ops.Quantize, ops.Reshape, ops.Squeeze)


def ends_in_softmax(graph: Graph) -> bool:
    """Whether the first output is the softmax of one row: the probabilities of classes."""
    node = graph.producer(graph.outputs[0])
    while node is not None and isinstance(node.op, _AFTER_SOFTMAX):
        node = graph.producer(node.inputs[0])
    if node is None or not isinstance(node.op, ops.Softmax):
        return False
    shape = graph.tensors[node.outputs[0]].shape
    return prod(shape) == shape[-1] > 1


def logits_of(graph: Graph) -> str:
    """The tensor before a closing softmax, else the output."""
    last = graph.nodes[-1]
    while isinstance(last.op, ops.Dequantize) and graph.producer(last.inputs[0]) is not None:
        last = graph.producer(last.inputs[0]) or last
    return last.inputs[0] if isinstance(last.op, ops.Softmax) else graph.outputs[0]


def before_softmax(graph: Graph) -> Graph:
    """The graph that ends in the logits."""
    logits = logits_of(graph)
    end = next(i for i, node in enumerate(graph.nodes) if logits in node.outputs)
    shorter = replace(graph, outputs=(logits,))
    return shorter.with_nodes(graph.nodes[: end + 1], graph.tensors)
