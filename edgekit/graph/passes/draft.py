"""A graph being rewritten: nodes can be replaced and rewired, then a frozen graph is taken.

Rules are functions (draft, node) -> bool that look at one node and its neighbours, and say whether
they changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgekit.graph.ir import Array, DType, Graph, Node, Tensor


class Draft:
    """The nodes and tensors of a graph, to be edited."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._nodes = list(graph.nodes)
        self._tensors = dict(graph.tensors)
        self._present = {id(node) for node in self._nodes}
        self._writers = {name: node for node in self._nodes for name in node.outputs}
        self._readers: dict[str, list[Node]] = {}
        for node in self._nodes:
            for name in dict.fromkeys(node.inputs):
                self._readers.setdefault(name, []).append(node)

    def tensor(self, name: str) -> Tensor:
        """A tensor by name."""
        return self._tensors[name]

    def writer(self, name: str) -> Node | None:
        """The node that writes a tensor."""
        return self._writers.get(name)

    def readers(self, name: str) -> list[Node]:
        """The nodes that read a tensor."""
        return self._readers.get(name, [])

    def is_output(self, name: str) -> bool:
        """Whether a tensor leaves the graph."""
        return name in self._graph.outputs

    def only_reader(self, name: str) -> Node | None:
        """The one node that sees a tensor; None if others, or the outside, see it too."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and not self.is_output(name) else None

    def values(self, name: str) -> Array | None:
        """A constant's values; None for an activation."""
        return self._tensors[name].data

    def add_constant(self, name: str, values: Array) -> str:
        """Add a float32 (or int32) constant; returns its name, made unique."""
        kind = np.int32 if np.issubdtype(values.dtype, np.integer) else np.float32
        unique = self._unique(name)
        data = np.ascontiguousarray(values, kind)
        self._tensors[unique] = Tensor.constant(unique, data)
        return unique

    def revised_constant(self, name: str, values: Array) -> str:
        """Other float32 values for a constant, under its own name if only one node reads it."""
        if len(self.readers(name)) > 1:
            return self.add_constant(name, values)
        self._tensors[name] = Tensor.constant(name, np.ascontiguousarray(values, np.float32))
        return name

    def add_activation(self, name: str, shape: tuple[int, ...]) -> str:
        """Add a float32 activation; returns its name, made unique."""
        unique = self._unique(name)
        self._tensors[unique] = Tensor(unique, shape, DType.FLOAT32)
        return unique

    def _unique(self, name: str) -> str:
        candidate, count = name, 0
        while candidate in self._tensors:
            count += 1
            candidate = f"{name}_{count}"
        return candidate

    def replace(self, old: Node, *new: Node) -> None:
        """Put nodes (or none) in the place of one."""
        position = next(i for i, node in enumerate(self._nodes) if node is old)
        self._nodes[position : position + 1] = new
        self._present.remove(id(old))
        self._present.update(map(id, new))
        for name in old.outputs:
            if self._writers.get(name) is old:  # and not another node that took it over
                del self._writers[name]
        self._writers.update({name: node for node in new for name in node.outputs})
        for name in {name for node in (old, *new) for name in node.inputs}:
            readers = [node for node in self.readers(name) if node is not old]
            self._readers[name] = readers + [node for node in new if name in node.inputs]

    def bypass(self, node: Node, source: str) -> bool:
        """Remove a node by letting `source` stand for its output, of the same shape.

        Returns:
            False if the output must keep its own tensor: it leaves the graph, and `source` is a
            graph input or leaves the graph itself.
        """
        (gone,) = node.outputs
        if self.is_output(gone):
            if self.writer(source) is None or self.is_output(source):
                return False
            gone, source = source, gone
        self.replace(node)
        for other in [*self.readers(gone), *filter(None, [self.writer(gone)])]:
            inputs = tuple(source if name == gone else name for name in other.inputs)
            outputs = tuple(source if name == gone else name for name in other.outputs)
            self.replace(other, replace(other, inputs=inputs, outputs=outputs))
        return True

    def __contains__(self, node: object) -> bool:
        return id(node) in self._present

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as they are now."""
        return tuple(self._nodes)

    def graph(self) -> Graph:
        """The frozen graph, without nodes that nobody needs."""
        wanted, kept = set(self._graph.outputs), []
        for node in reversed(self._nodes):
            if wanted.intersection(node.outputs):
                wanted.update(node.inputs)
                kept.append(node)
        return self._graph.with_nodes(tuple(reversed(kept)), self._tensors)


Rule = Callable[[Draft, Node], bool]


def rewrite(graph: Graph, *rules: Rule) -> Graph:
    """Apply the rules to every node until none applies; the same graph if none ever did."""
    draft = Draft(graph)
    changed, again = False, True
    while again:
        again = False
        for node in draft.nodes:
            again |= any(node in draft and rule(draft, node) for rule in rules)
        changed |= again
    return draft.graph() if changed else graph
