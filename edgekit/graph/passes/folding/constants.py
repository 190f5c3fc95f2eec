"""Activations whose channels have one value each, whatever enters the network, become constants.

Only where sums or products with other activations read them, which broadcast: such a constant is as
small as one pixel. What nobody reads after that goes too.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Tensor
from edgekit.graph.passes.folding.intervals import Bounds, Interval


def with_constants(graph: Graph, bounds: Bounds) -> Graph:
    """The graph without nodes whose values are known; the graph itself if there are none."""
    known: dict[str, Tensor] = {}
    live: list[Node] = []
    for node in reversed(graph.nodes):
        read = [name for name in node.outputs if any(name in reader.inputs for reader in live)]
        if any(name in graph.outputs for name in node.outputs) or not all(
            _may_be_constant(graph, name, bounds, live) for name in read
        ):
            live.append(node)
        else:
            known.update({name: _pixel(graph.tensors[name], bounds[name]) for name in read})
    if len(live) == len(graph.nodes):
        return graph
    return graph.with_nodes(tuple(reversed(live)), {**graph.tensors, **known})


def _may_be_constant(graph: Graph, name: str, bounds: Bounds, live: list[Node]) -> bool:
    """Whether a value is known, and all who read it broadcast it over another activation."""
    if name not in bounds or not bounds[name].channels()[0].all():
        return False
    return all(
        isinstance(reader.op, ops.Add | ops.Sub | ops.Mul)
        and any(
            other.shape == graph.tensors[reader.outputs[0]].shape and not _is_known(other, bounds)
            for other in graph.inputs_of(reader)
        )
        for reader in live
        if name in reader.inputs
    )


def _is_known(tensor: Tensor, bounds: Bounds) -> bool:
    return tensor.name in bounds and bounds[tensor.name].is_fixed


def _pixel(tensor: Tensor, interval: Interval) -> Tensor:
    values = interval.channels()[1]
    shape = (*(1 for _ in tensor.shape[:-1]), *tensor.shape[-1:])
    return replace(tensor, shape=shape, data=values.reshape(shape))
