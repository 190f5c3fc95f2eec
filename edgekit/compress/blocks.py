"""A network cut into the blocks that are repaired one after the other.

A graph enters; its nodes leave in blocks, each of which reads one activation and hands one on. A
residual block stays whole, as does everything between activations that live side by side; a
depthwise layer stays with the layer that widens its input and the one that joins its channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node

_LAYERS = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)


@dataclass(frozen=True)
class Block:
    """Nodes in execution order, the activation they read and those they hand on."""

    nodes: tuple[Node, ...]
    source: str
    results: tuple[str, ...]


def blocks(graph: Graph, known: Collection[str]) -> tuple[Block, ...]:
    """The blocks of a graph with one input; nodes without weights belong to one that has some.

    Args:
        known: activations that blocks may end with.
    """
    found: list[Block] = []
    source, start = graph.inputs[0], 0
    for end, result in _cuts(graph):
        if result in known and _is_whole(graph, graph.nodes[start:end], result):
            found.append(Block(graph.nodes[start:end], source, (result,)))
            source, start = result, end
    rest = graph.nodes[start:]
    if found and not any(isinstance(node.op, _LAYERS) for node in rest):
        before = found.pop()
        rest, source = before.nodes + rest, before.source
    return (*found, Block(rest, source, graph.outputs))


def _cuts(graph: Graph) -> Iterator[tuple[int, str]]:
    """Where a single activation is alive: (how many nodes were computed, its name)."""
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    last.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    alive = set(graph.inputs)
    for index, node in enumerate(graph.nodes):
        alive.update(node.outputs)
        alive = {name for name in alive if last.get(name, -1) > index}
        if len(alive) == 1:
            yield index + 1, next(iter(alive))


def _is_whole(graph: Graph, nodes: Sequence[Node], result: str) -> bool:
    """Whether a block may end here; see the module's words on depthwise layers."""
    layers = [node for node in nodes if isinstance(node.op, _LAYERS)]
    if not layers or isinstance(layers[-1].op, ops.DepthwiseConv2D):
        return False
    if any(isinstance(node.op, ops.DepthwiseConv2D) for node in layers):
        return True
    return not any(isinstance(node.op, ops.DepthwiseConv2D) for node in graph.consumers(result))
