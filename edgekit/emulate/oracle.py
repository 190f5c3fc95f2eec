"""The check against TFLite Micro: the graph's integer results must be those of its interpreter.

A TFLite file, inputs and the outputs edgekit expects enter; a `Verification` leaves. A difference
is an error, never a warning; a missing interpreter is reported as not checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from edgekit.emulate import tflm
from edgekit.emulate.samples import Values
from edgekit.errors import MissingToolError, VerificationError

_WHEEL = "tflite-micro"


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


def verify(tflite: bytes, inputs: Values, expected: Values) -> Verification:
    """Run the inputs through TFLite Micro's interpreter and compare every byte.

    Args:
        tflite: the model, one input and one output.
        inputs: (n, ...) samples.
        expected: (n, ...) outputs from `graph.execute`.

    Raises:
        VerificationError: an output differs.
    """
    try:
        (outputs,) = tflm.run(tflite, [inputs])
        oracle = f"{_WHEEL} {version(_WHEEL)}"
    except (MissingToolError, PackageNotFoundError) as error:
        return Verification(False, 0, _WHEEL, f"{error} pip install 'edgekit[emulate]'")
    wrong = np.flatnonzero((outputs != expected).reshape(len(expected), -1).any(axis=1))
    if len(wrong):
        raise VerificationError(
            f"TFLite Micro gives other results than edgekit's arithmetic on {len(wrong)} of "
            f"{len(expected)} samples (first: {wrong[0]}).",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return Verification(True, len(expected), oracle)
