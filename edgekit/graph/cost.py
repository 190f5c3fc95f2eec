"""What a graph costs, node by node: multiplications, parameters, bytes.

A graph enters, float or integer; `GraphCost` leaves. MACs are counted as in the MobileNet papers:
one for each multiplication with a convolution's or a matrix product's weight; nothing else counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node


@dataclass(frozen=True)
class NodeCost:
    """One node's cost.

    Attributes:
        macs: multiply-accumulates of one inference.
        parameters: elements of the weights and biases it reads.
        parameter_bytes: of the same.
        input_bytes, output_bytes: of the activations it reads and writes.
    """

    name: str
    op: str
    macs: int
    parameters: int
    parameter_bytes: int
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class GraphCost:
    """The nodes' costs in execution order, and totals.

    Attributes:
        parameters, parameter_bytes: each constant counted once, however many nodes read it.
        largest_activation_bytes: the most that one node reads and writes at the same time; no
            memory plan without fusion needs less.
    """

    nodes: tuple[NodeCost, ...]
    macs: int
    parameters: int
    parameter_bytes: int
    largest_activation_bytes: int


def node_cost(graph: Graph, node: Node) -> NodeCost:
    """The cost of one node."""
    inputs, outputs = graph.inputs_of(node), graph.outputs_of(node)
    weights = [inputs[i] for i in _PARAMETERS.get(type(node.op), ()) if i < len(inputs)]
    weights = [tensor for tensor in weights if tensor.is_constant]
    activations = {tensor.name: tensor for tensor in inputs if not tensor.is_constant}
    return NodeCost(
        name=node.name,
        op=node.op.tflite_name,
        macs=_MACS.get(type(node.op), _none)(graph, node),
        parameters=sum(tensor.elements for tensor in weights),
        parameter_bytes=sum(tensor.size_bytes for tensor in weights),
        input_bytes=sum(tensor.size_bytes for tensor in activations.values()),
        output_bytes=sum(tensor.size_bytes for tensor in outputs),
    )


def graph_cost(graph: Graph) -> GraphCost:
    """The cost of every node, and totals."""
    nodes = tuple(node_cost(graph, node) for node in graph.nodes)
    names = {
        node.inputs[i]
        for node in graph.nodes
        for i in _PARAMETERS.get(type(node.op), ())
        if i < len(node.inputs) and graph.tensors[node.inputs[i]].is_constant
    }
    return GraphCost(
        nodes=nodes,
        macs=sum(node.macs for node in nodes),
        parameters=sum(graph.tensors[name].elements for name in names),
        parameter_bytes=sum(graph.tensors[name].size_bytes for name in names),
        largest_activation_bytes=max(
            (node.input_bytes + node.output_bytes for node in nodes), default=0
        ),
    )


def _none(graph: Graph, node: Node) -> int:
    return 0


def _conv(graph: Graph, node: Node) -> int:
    """(O,kH,kW,C/groups) multiplications for each O outputs of a pixel."""
    weights, output = graph.tensors[node.inputs[1]], graph.tensors[node.outputs[0]]
    return weights.elements * output.elements // output.shape[3]


def _fully_connected(graph: Graph, node: Node) -> int:
    weights, output = graph.tensors[node.inputs[1]], graph.tensors[node.outputs[0]]
    return weights.elements * output.elements // weights.shape[0]


_MACS: dict[type[ops.Op], Callable[[Graph, Node], int]] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _conv,
    ops.FullyConnected: _fully_connected,
}
# Which inputs are parameters; the other constants are axes, shapes and the like.
_PARAMETERS: dict[type[ops.Op], tuple[int, ...]] = {
    ops.Conv2D: (1, 2),
    ops.DepthwiseConv2D: (1, 2),
    ops.FullyConnected: (1, 2),
    ops.Add: (0, 1),
    ops.Sub: (0, 1),
    ops.Mul: (0, 1),
}
