"""The check against TFLite Micro: the graph's integer results must be those of its interpreter.

A TFLite file, inputs and the outputs edgekit expects enter; a `Verification` leaves. A difference
is an error, never a warning; a missing interpreter is reported as not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from edgekit.emulate import tflm
from edgekit.emulate.samples import Values
from edgekit.errors import MissingToolError, UnsupportedError, VerificationError

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


def verify(tflite: bytes, inputs: Sequence[Values], expected: Sequence[Values]) -> Verification:
    """Run the inputs through TFLite Micro's interpreter and compare every byte.

    Args:
        tflite: the model.
        inputs: one array a model input, (n, *shape): n samples of the input's whole shape.
        expected: one array a model output, (n, *shape), from `graph.execute`.

    Raises:
        VerificationError: an output differs.
    """
    count = len(inputs[0])
    try:
        outputs = _outputs(tflite, inputs)
        oracle = f"{_WHEEL} {version(_WHEEL)}"
    except (MissingToolError, PackageNotFoundError) as error:
        return Verification(False, 0, _WHEEL, f"{error} pip install 'edgekit[emulate]'")
    except UnsupportedError as error:
        return Verification(False, 0, _WHEEL, str(error))
    differs = [
        (ours != theirs).reshape(count, -1) for ours, theirs in zip(expected, outputs, strict=True)
    ]
    wrong = np.flatnonzero(np.concatenate(differs, axis=1).any(axis=1))
    if len(wrong):
        raise VerificationError(
            f"TFLite Micro gives other results than edgekit's arithmetic on {len(wrong)} of "
            f"{count} samples (first: {wrong[0]}).",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return Verification(True, count, oracle)


def _outputs(tflite: bytes, inputs: Sequence[Values]) -> list[Values]:
    """One array a model output, (n, *shape)."""
    if all(value.shape[1:2] == (1,) for value in inputs):  # one call for all samples
        return [output[:, None] for output in tflm.run(tflite, [value[:, 0] for value in inputs])]
    rows = [tflm.run(tflite, sample) for sample in zip(*inputs, strict=True)]
    return [np.stack(column) for column in zip(*rows, strict=True)]
