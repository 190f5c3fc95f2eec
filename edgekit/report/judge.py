"""How good is this integer graph: the judge of the repair ladder, asked again and again.

The float network and held-out samples enter once, and its answers are kept; each integer graph that
is then given leaves a `Score`. Samples are handed out a few at a time, so memory holds only logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from edgekit.compress.ladder import Score
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph
from edgekit.graph.scores import before_softmax
from edgekit.report.accuracy import Scores, sqnr_db
from edgekit.report.evaluate import dequantized

Indices = npt.NDArray[np.int64]
_CHUNK = 16  # samples at once, as `evaluate` takes them


@dataclass(frozen=True, eq=False)
class Held:
    """Samples that no repair sees.

    Attributes:
        count: how many.
        floats: indices -> the float network's input (n, ...).
        integers: (integer graph, indices) -> the same as the integer network reads them.
        targets: true classes (count,); None without labels.
        classes: whether the outputs are classes at all.
    """

    count: int
    floats: Callable[[Indices], Scores]
    integers: Callable[[Graph, Indices], Array]
    targets: Indices | None
    classes: bool


class Judge:
    """Measures integer graphs against one float graph."""

    def __init__(self, graph: Graph, held: Held, threads: int = 1) -> None:
        self._graph, self._held, self._threads = graph, held, threads

    def __call__(self, integer: Graph) -> Score:
        """The score of an integer graph; its closing softmax, if it has one, changes no class."""
        held, expected = self._held, self._expected
        found = self._outputs(integer, lambda chunk: held.integers(integer, chunk))
        ours, theirs = found.argmax(axis=1), expected.argmax(axis=1)
        top1 = _percent(ours == held.targets) if held.targets is not None else None
        drop = (
            _percent(theirs == held.targets) - top1
            if held.targets is not None and top1 is not None
            else None
        )
        return Score(
            images=held.count,
            sqnr_db=sqnr_db(expected, found),
            agreement=_percent(ours == theirs) if held.classes else None,
            top1=top1,
            drop=drop,
        )

    @cached_property
    def _expected(self) -> Scores:
        return self._outputs(self._graph, self._held.floats)

    def _outputs(self, graph: Graph, inputs: Callable[[Indices], Array]) -> Scores:
        """The logits, one row a sample."""
        shorter = before_softmax(graph)
        chunks = [
            np.arange(at, min(at + _CHUNK, self._held.count))
            for at in range(0, self._held.count, _CHUNK)
        ]

        def rows(chunk: Indices) -> Scores:
            (output,) = run(shorter, [inputs(chunk)])
            return dequantized(shorter, shorter.outputs[0], output)

        with ThreadPoolExecutor(self._threads) as pool:
            parts: Sequence[Scores] = list(pool.map(rows, chunks))
        return np.concatenate(parts)


def _percent(hits: npt.NDArray[np.bool_]) -> float:
    return 100.0 * float(np.mean(hits))
