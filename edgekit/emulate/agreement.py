"""What an engine says of many samples, beside what edgekit's arithmetic says, and the truth.

A graph, its file and batches of samples enter; an `Agreement` leaves. Memory is bounded by a batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.emulate.answers import Answer, answering
from edgekit.emulate.engine import Engine
from edgekit.emulate.samples import Values
from edgekit.graph.ir import Graph
from edgekit.progress import Progress, silent

# One array a model input, (n, *shape), and the true classes (n,), -1 where unknown.
Batch = tuple[Sequence[Values], npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Agreement:
    """Counts of samples.

    Attributes:
        samples: all of them.
        same_outputs: every output equal to the bit.
        same_top1: the same class.
        labelled: the true class is known.
        engine_hits: of those, named right by the engine.
        reference_hits: of those, named right by edgekit's arithmetic.
    """

    samples: int = 0
    same_outputs: int = 0
    same_top1: int = 0
    labelled: int = 0
    engine_hits: int = 0
    reference_hits: int = 0

    def __add__(self, other: Agreement) -> Agreement:
        mine, theirs = asdict(self), asdict(other)
        return Agreement(**{name: mine[name] + theirs[name] for name in mine})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def agreement(
    graph: Graph,
    tflite: bytes,
    engine: Engine,
    batches: Iterable[Batch],
    total: int,
    *,
    arena_bytes: int | None = None,
    progress: Progress = silent,
) -> Agreement:
    """Run every batch through the engine and through edgekit's arithmetic.

    The class a sample is given is the place of the largest value in the first output.

    Args:
        graph: what the file holds.
        tflite: the file.
        engine: who runs it.
        batches: the samples.
        total: how many there are, for `progress`.
        arena_bytes: TFLite Micro's arena; None for more than enough.
        progress: told the samples done.

    Raises:
        MissingToolError: the engine is not installed.
        UnsupportedError: it refuses the model.
    """
    with (
        answering(engine, graph, tflite, arena_bytes) as engine_answer,
        answering(None, graph, tflite) as reference,
    ):
        return count(reference, engine_answer, batches, total, f"run {engine.title}", progress)


def count(
    reference: Answer,
    other: Answer,
    batches: Iterable[Batch],
    total: int,
    described: str,
    progress: Progress = silent,
) -> Agreement:
    """Give every batch to both and count where they agree.

    Args:
        reference: edgekit's arithmetic.
        other: the engine.
        batches: the samples.
        total: how many there are, for `progress`.
        described: what is done, for `progress`.
        progress: told the samples done.
    """
    found = Agreement()
    for inputs, targets in batches:
        found += _of_batch(reference(inputs), other(inputs), targets)
        progress(described, found.samples, total)
    return found


def _of_batch(
    ours: Sequence[Values], theirs: Sequence[Values], targets: npt.NDArray[np.int64]
) -> Agreement:
    count, known = len(targets), targets >= 0
    equal = [_rows(a == b).all(axis=1) for a, b in zip(ours, theirs, strict=True)]
    ours_top1, theirs_top1 = (_rows(side[0]).argmax(axis=1) for side in (ours, theirs))
    return Agreement(
        samples=count,
        same_outputs=int(np.logical_and.reduce(equal).sum()),
        same_top1=int((ours_top1 == theirs_top1).sum()),
        labelled=int(known.sum()),
        engine_hits=int((theirs_top1 == targets)[known].sum()),
        reference_hits=int((ours_top1 == targets)[known].sum()),
    )


def _rows(values: Values) -> Values:
    return values.reshape(len(values), -1)
