"""Run a graph node by node on many samples, with the graph allowed to change as it goes.

A graph and samples enter. The caller asks for one node after the other, sees what the node reads,
and may compute it with other constants than the graph's: what follows reads what was made of it.
Values nobody reads any more are dropped, so that memory holds the widest cut of the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, cast

import numpy as np

from edgekit.graph.batching import carries_batch
from edgekit.graph.ir import Array, Graph, Node, Tensor
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

_TOGETHER = 16  # samples in one part, if the graph may compute several at once


class Stepwise:
    """A graph in the middle of its execution.

    Attributes:
        graph: as it is now, constants replaced by `replace_constants` included.
    """

    def __init__(self, graph: Graph, samples: Array, threads: int = 1) -> None:
        step = _TOGETHER if carries_batch(graph) else 1
        parts = [samples[at : at + step] for at in range(0, len(samples), step)]
        self.graph = graph
        self._latest: tuple[Node, list[list[Array]]] | None = None
        self._threads, self._parts = threads, len(parts)
        self._values: dict[str, list[Array]] = {graph.inputs[0]: parts}
        self._last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}

    def nodes(self) -> Iterator[Node]:
        """Every node, before it is computed; it is computed when the caller asks for the next."""
        for index in range(len(self.graph.nodes)):
            yield self.graph.nodes[index]
            node = self.graph.nodes[index]
            outputs = self.computed(node)
            self._values.update(zip(node.outputs, outputs, strict=True))
            for name in (*node.inputs, *node.outputs):
                if self._last.get(name, -1) <= index and name not in self.graph.outputs:
                    self._values.pop(name, None)

    def values(self, name: str) -> list[Array]:
        """An activation that a later node reads, or an output: the parts of the batch."""
        return self._values[name]

    def mean(self, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The mean over all samples, of one sample's shape (1, ...), in steps of an integer."""
        parts = self._values[name]
        total = sum(part.sum(axis=0, dtype=np.float64, keepdims=True) for part in parts)
        return cast("np.ndarray[Any, np.dtype[np.float64]]", total / sum(map(len, parts)))

    def replace_constants(self, constants: dict[str, Tensor]) -> None:
        """Go on with other constants of the same names and shapes."""
        self._latest = None
        self.graph = replace(self.graph, tensors={**self.graph.tensors, **constants})

    def computed(
        self, node: Node, instead: Mapping[str, list[Array]] | None = None
    ) -> list[list[Array]]:
        """A node's outputs on what has been computed so far: for each, the parts of the batch.

        Args:
            instead: activations by name whose parts are read in place of the computed ones.
        """
        if instead is None and self._latest is not None and self._latest[0] is node:
            return self._latest[1]
        inputs, outputs = self.graph.inputs_of(node), self.graph.outputs_of(node)
        values_of = {**self._values, **(instead or {})}

        def part(index: int) -> tuple[Array, ...]:
            values = tuple(
                values_of[tensor.name][index] if tensor.data is None else tensor.data
                for tensor in inputs
            )
            return evaluate(Call(node, inputs, outputs, values))

        with ThreadPoolExecutor(self._threads) as pool:
            found = list(pool.map(part, range(self._parts)))
        computed = [list(parts) for parts in zip(*found, strict=True)]
        if instead is None:
            self._latest = node, computed
        return computed
