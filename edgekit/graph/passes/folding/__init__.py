"""Leave out of an int8 network what cannot change its outputs: the same bits with less work.

A graph enters; a graph with the same inputs and outputs leaves, which gives the same outputs for
every input there is. `intervals` says what values are reachable, `constants` takes out what is one
value, `channels` finds the channels nobody needs, `weights` folds the rest of them into biases.
docs/folding.md explains why this is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Tensor
from edgekit.graph.passes.folding.channels import Channels, Mask, channels_of
from edgekit.graph.passes.folding.constants import with_constants
from edgekit.graph.passes.folding.intervals import Bounds, bounds_of
from edgekit.graph.passes.folding.links import is_product
from edgekit.graph.passes.folding.weights import folded_weights
from edgekit.graph.verify import verify

__all__ = ["fold"]


def fold(graph: Graph) -> Graph:
    """The graph without dead and constant channels; the graph itself if it has none.

    Nodes and tensors keep their names and order. uint8 and float nodes stay as they are.

    Raises:
        UnsupportedError: a node has no definition for its types and quantizations.
    """
    bounds = bounds_of(graph)
    folded = with_constants(graph, bounds)
    found = channels_of(folded, bounds)
    if not found.is_everything:
        folded = _without_channels(folded, bounds, found)
    if folded is not graph:
        verify(folded)
    return folded


def _without_channels(graph: Graph, bounds: Bounds, found: Channels) -> Graph:
    tensors = {
        name: _sliced(tensor, found.present[name]) if name in found.present else tensor
        for name, tensor in graph.tensors.items()
    }
    nodes = []
    for node in graph.nodes:
        constants = _constants(graph, node, bounds, found)
        names = [_own_name(graph, tensor.name, node, tensors) for tensor in constants]
        for name, tensor in zip(names, constants, strict=True):
            tensors[name] = replace(tensor, name=name)
        nodes.append(replace(node, inputs=(*node.inputs[:1], *names)) if names else node)
    return graph.with_nodes(tuple(nodes), tensors)


def _constants(graph: Graph, node: Node, bounds: Bounds, found: Channels) -> tuple[Tensor, ...]:
    """What a node reads behind its first input, where that changes with the channels."""
    output = graph.tensors[node.outputs[0]]
    if is_product(graph, node) or (
        isinstance(node.op, ops.DepthwiseConv2D) and output.dtype is DType.INT8
    ):
        return folded_weights(graph, node, bounds, found)
    if isinstance(node.op, ops.Reshape) and len(node.inputs) > 1:
        shape = _sliced(output, found.present[output.name]).shape
        return (Tensor.constant(node.inputs[1], np.array(shape, np.int32)),)
    return ()


def _sliced(tensor: Tensor, present: Mask) -> Tensor:
    if not tensor.shape:
        return tensor
    shape = (*tensor.shape[:-1], int(present.sum()))
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data[..., present])
    return replace(tensor, shape=shape, data=data)


def _own_name(graph: Graph, name: str, node: Node, tensors: Mapping[str, Tensor]) -> str:
    """The name of a constant that other nodes do not read, which go on with the old one."""
    if len(graph.consumers(name)) < 2:
        return name
    own = f"{name} of {node.outputs[0]}"
    while own in tensors:
        own += "'"
    return own
