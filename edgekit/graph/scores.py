"""Does a network name classes, or does it compute something else: features, a signal, a map?"""

from __future__ import annotations

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
