"""The check against TFLite Micro: the graph's integer results must be those of its interpreter.

A TFLite file, inputs and the outputs edgekit expects enter; a `Verification` leaves. A difference
is an error, never a warning; an interpreter that is missing, refuses the model or dies over it is
reported as not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.emulate.engine import Engine, start
from edgekit.emulate.samples import Values, each
from edgekit.errors import MissingToolError, UnsupportedError, VerificationError


@dataclass(frozen=True)
class Verification:
    """What was compared.

    Attributes:
        checked: whether the comparison was made.
        samples: inputs that gave the same bytes; 0 if not checked.
        oracle: what they were compared with.
        reason: why not, if not checked.
    """

    checked: bool
    samples: int
    oracle: str
    reason: str = ""


def verify(tflite: bytes, inputs: Sequence[Values], expected: Sequence[Values]) -> Verification:
    """Run the inputs through TFLite Micro's interpreter and compare every byte.

    Args:
        tflite: the model.
        inputs: one array a model input, (n, *shape): n samples of the input's whole shape.
        expected: one array a model output, (n, *shape), from `graph.execute`.

    Raises:
        VerificationError: an output differs.
    """
    try:
        with start(Engine.TFLM, tflite) as session:
            answers = [session.run(sample)[0] for sample in each(inputs)]
    except (MissingToolError, UnsupportedError) as error:
        return Verification(False, 0, Engine.TFLM.title, f"{error} {error.hint}".strip())
    wrong = [
        i
        for i, (ours, theirs) in enumerate(zip(each(expected), answers, strict=True))
        if not all(map(np.array_equal, ours, theirs))
    ]
    if wrong:
        raise VerificationError(
            f"TFLite Micro gives other results than edgekit's arithmetic on {len(wrong)} of "
            f"{len(answers)} samples (first: {wrong[0]}).",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return Verification(True, len(answers), session.version)
