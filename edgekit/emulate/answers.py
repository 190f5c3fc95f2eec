"""A model as a function from samples to outputs, whoever computes it.

A graph and its file enter; a function of stacked arrays leaves: edgekit's own arithmetic, which
computes samples together, or an engine's process, which takes them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from edgekit.emulate.engine import Engine, start
from edgekit.emulate.samples import Values, each, reference_outputs
from edgekit.graph.ir import Graph

Answer = Callable[[Sequence[Values]], tuple[Values, ...]]  # (n, *shape) each -> (n, *shape) each


@contextmanager
def answering(
    engine: Engine | None, graph: Graph, tflite: bytes, arena_bytes: int | None = None
) -> Iterator[Answer]:
    """The model, ready to be called until the block ends.

    Args:
        engine: who computes; None for edgekit's own arithmetic.
        graph: what the file holds.
        tflite: the file.
        arena_bytes: TFLite Micro's arena; None for more than enough.

    Raises:
        MissingToolError: the engine is not installed.
        UnsupportedError: it refuses the model.
    """
    if engine is None:
        yield lambda inputs: reference_outputs(graph, inputs)
        return
    with start(engine, tflite, arena_bytes=arena_bytes) as session:

        def answer(inputs: Sequence[Values]) -> tuple[Values, ...]:
            rows = [session.run(sample)[0] for sample in each(inputs)]
            return tuple(np.stack(column) for column in zip(*rows, strict=True))

        yield answer
