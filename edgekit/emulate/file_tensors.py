"""The numbers that a TFLite file gives its tensors: interpreters know them by these alone.

The bytes of a file and the graph read from it enter; a number by activation name leaves. Names
would not do: a file may leave them out or give one twice, and the reader then makes its own.
"""

from __future__ import annotations

from edgekit.convert.tflite_flatbuffer import Flatbuffer
from edgekit.graph.ir import Graph

# Slots of the schema's Model.subgraphs, SubGraph.inputs, SubGraph.operators, Operator.outputs.
_SUBGRAPHS, _INPUTS, _OPERATORS, _OUTPUTS = 2, 1, 3, 2


def activation_numbers(tflite: bytes, graph: Graph) -> dict[str, int]:
    """The number in the file of every graph input and node output.

    Args:
        tflite: the file.
        graph: what `convert.tflite_reader` made of it, or one with the same nodes in order.

    Raises:
        ValueError: the graph has other nodes than the file.
    """
    subgraph = next(Flatbuffer(tflite).root(b"TFL3").tables(_SUBGRAPHS))
    rows = [(graph.inputs, subgraph.numbers(_INPUTS, "<i4"))]
    for node, operator in zip(graph.nodes, subgraph.tables(_OPERATORS), strict=True):
        rows.append((node.outputs, operator.numbers(_OUTPUTS, "<i4")))
    return {
        name: int(number)
        for names, numbers in rows
        for name, number in zip(names, numbers, strict=True)
    }
