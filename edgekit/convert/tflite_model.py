"""A TFLite file as edgekit deploys it: it holds exactly the operators of the graph read from it.

Somebody's file enters; the graph and a file leave. Mostly that is the file itself, byte for byte.
Where reading folded, merged or left out something (shapes computed while the network runs,
convolutions dilated by way of the batch, tensors nobody reads), the file is written anew: the
firmware's op resolver, its arena and the comparison of layers are all made from the graph.
"""

from __future__ import annotations

from edgekit.convert.tflite_flatbuffer import Flatbuffer
from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.graph.ir import Graph

# Slots of the schema's Model.subgraphs, SubGraph.tensors, SubGraph.operators.
_SUBGRAPHS, _TENSORS, _OPERATORS = 2, 0, 3


def read_model(data: bytes) -> tuple[Graph, bytes]:
    """The graph of a TFLite file, and the file of that graph.

    Raises:
        InputError, UnsupportedError: see `tflite_reader.read`.
    """
    graph = read(data)
    return graph, data if mirrors(data, graph) else write(graph)


def mirrors(data: bytes, graph: Graph) -> bool:
    """Whether a file has the operators and tensors of the graph read from it, and no others."""
    subgraph = next(Flatbuffer(data).root(b"TFL3").tables(_SUBGRAPHS))
    found = subgraph.count(_OPERATORS), subgraph.count(_TENSORS)
    return found == (len(graph.nodes), len(graph.tensors))
