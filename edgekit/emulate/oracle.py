"""The check of every build: the graph's integer results must be those of an independent runtime.

A graph, its TFLite file, inputs and the outputs edgekit expects enter; a `Verification` leaves. The
oracle is TFLite Micro's interpreter. For what it has no kernels for (legacy uint8, above all),
LiteRT's reference kernels take its place, but only where they compute every op of the graph to the
bit (docs/int8.md). A difference is an error, never a warning; a runtime that is missing, refuses
the model or dies over it is reported as not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.emulate.engine import Engine, start
from edgekit.emulate.samples import Values, each
from edgekit.errors import EdgekitError, MissingToolError, UnsupportedError, VerificationError
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.legacy import uint8_node

# LiteRT's kernels round these otherwise than the specification, by a step here and there.
_LITERT_DEVIATES = (ops.FullyConnected, ops.HardSwish)


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        checked: whether the comparison was made.
        samples: inputs that gave the same bytes; 0 if not checked.
        oracle: what they were compared with.
        reason: why not, if not checked.
        instead_of: why not with TFLite Micro, if LiteRT took its place.
    """

    checked: bool
    samples: int
    oracle: str
    reason: str = ""
    instead_of: str = ""


def verify(
    graph: Graph, tflite: bytes, inputs: Sequence[Values], expected: Sequence[Values]
) -> Verification:
    """Run the inputs through the oracle and compare every byte.

    Args:
        graph: an integer graph.
        tflite: the same as a file.
        inputs: one array a model input, (n, *shape): n samples of the input's whole shape.
        expected: one array a model output, (n, *shape), from `graph.execute`.

    Raises:
        VerificationError: an output differs.
    """
    try:
        if uint8_node(graph) is not None:
            raise UnsupportedError("TFLite Micro has no kernels for uint8.")
        return _compared(Engine.TFLM, tflite, inputs, expected)
    except MissingToolError as error:
        return _unchecked(Engine.TFLM, error)
    except UnsupportedError as error:
        on_chip = error
    deviating = next((n for n in graph.nodes if isinstance(n.op, _LITERT_DEVIATES)), None)
    if deviating is not None:
        name = deviating.op.tflite_name
        reason = f"{on_chip} LiteRT computes it, but rounds {name} in another way."
        return Verification(False, 0, Engine.LITERT_REFERENCE.title, reason)
    try:
        verified = _compared(Engine.LITERT_REFERENCE, tflite, inputs, expected)
    except (MissingToolError, UnsupportedError) as error:
        return _unchecked(Engine.LITERT_REFERENCE, on_chip, error)
    return replace(
        verified, oracle=f"{verified.oracle}, reference kernels", instead_of=str(on_chip)
    )


def _compared(
    engine: Engine, tflite: bytes, inputs: Sequence[Values], expected: Sequence[Values]
) -> Verification:
    with start(engine, tflite) as session:
        answers = [session.run(sample)[0] for sample in each(inputs)]
    wrong = [
        i
        for i, (ours, theirs) in enumerate(zip(each(expected), answers, strict=True))
        if not all(map(np.array_equal, ours, theirs))
    ]
    if wrong:
        raise VerificationError(
            f"{engine.title} gives other results than edgekit's arithmetic on {len(wrong)} of "
            f"{len(answers)} samples (first: {wrong[0]}).",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return Verification(True, len(answers), session.version)


def _unchecked(engine: Engine, *errors: EdgekitError) -> Verification:
    reason = " ".join(f"{error} {error.hint}".strip() for error in errors)
    return Verification(False, 0, engine.title, reason)
