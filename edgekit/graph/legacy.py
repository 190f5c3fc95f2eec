"""Legacy uint8 networks, as TensorFlow quantized before 2020: TFLite Micro cannot compute them.

A graph enters; what in it needs uint8 kernels leaves.
"""

from __future__ import annotations

from edgekit.graph.ir import DType, Graph, Node
from edgekit.graph.ops import Quantize


def uint8_node(graph: Graph) -> Node | None:
    """The first node that computes with uint8; a QUANTIZE at the border does not count.

    An int8 network may have uint8 inputs and outputs, which TFLite Micro's QUANTIZE takes and
    gives.
    """
    for node in graph.nodes:
        tensors = (*graph.inputs_of(node), *graph.outputs_of(node))
        if not isinstance(node.op, Quantize) and any(t.dtype is DType.UINT8 for t in tensors):
            return node
    return None
