"""A network taken apart: all its layers beside each other in one graph.

A graph enters; one leaves in which every activation that a layer reads is an input, and every layer
writes an output of its own. Fed with the values of the whole network, each layer shows what its
kernel alone makes of them.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph.ir import Graph

_SUFFIX = " (alone)"


def layers_apart(graph: Graph) -> Graph:
    """The layers of a graph with nothing between them.

    Returns:
        A graph whose inputs bear the names of the activations that layers read, and whose outputs
        are what the layers write, in the order of the nodes.
    """
    nodes = tuple(
        replace(node, outputs=tuple(name + _SUFFIX for name in node.outputs))
        for node in graph.nodes
    )
    written = {
        name + _SUFFIX: replace(graph.tensors[name], name=name + _SUFFIX)
        for node in graph.nodes
        for name in node.outputs
    }
    read = dict.fromkeys(
        tensor.name
        for node in graph.nodes
        for tensor in graph.inputs_of(node)
        if not tensor.is_constant
    )
    border = replace(graph, inputs=tuple(read), outputs=tuple(written))
    return border.with_nodes(nodes, {**graph.tensors, **written})
