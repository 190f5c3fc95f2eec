"""Activations of one known value, whatever enters the network, become constants.

Only where all their readers take constants: sums, products of two tensors, concatenations. (What
else reads nothing but known values has a known value itself, and becomes a constant in its turn.)
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.passes.folding.intervals import Bounds

_TAKE_CONSTANTS = (ops.Add, ops.Sub, ops.Mul, ops.Concatenation)


def with_constants(graph: Graph, bounds: Bounds) -> Graph:
    """The graph without the nodes whose values are known; the graph itself if there are none."""
    known: set[str] = set()
    live: list[Node] = []
    for node in reversed(graph.nodes):
        if all(_may_be_constant(graph, name, bounds, live) for name in node.outputs):
            known.update(node.outputs)
        else:
            live.append(node)
    if not known:
        return graph
    tensors = {
        name: replace(tensor, data=bounds[name].low) if name in known else tensor
        for name, tensor in graph.tensors.items()
    }
    return graph.with_nodes(tuple(reversed(live)), tensors)


def _may_be_constant(graph: Graph, name: str, bounds: Bounds, live: list[Node]) -> bool:
    """Whether a value is known, and all its readers that stay take constants."""
    if not _is_known(name, bounds) or name in graph.outputs:
        return False
    return all(
        isinstance(reader.op, _TAKE_CONSTANTS)
        and any(not _is_known(other, bounds) for other in reader.inputs)
        for reader in live
        if name in reader.inputs
    )


def _is_known(name: str, bounds: Bounds) -> bool:
    return name in bounds and bounds[name].is_fixed
