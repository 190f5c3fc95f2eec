"""onnxruntime in a process of its own: what it trips over ends that process, not the build.

A serialized model with one input and values for it enter; its outputs leave. Refused: models that
onnxruntime refuses, or dies of. The process is this module, run with a folder that holds
`model.onnx` and `input_0.npy`, `input_1.npy`, ...; it leaves `output_0_0.npy`, ... there.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path
from signal import Signals
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError
from edgekit.interruption import unbroken

Values = npt.NDArray[Any]
_MODEL, _INPUT, _OUTPUT = "model.onnx", "input_{}.npy", "output_{}_{}.npy"


def outputs_of(onnx_model: bytes, inputs: Sequence[Values]) -> list[list[Values]]:
    """The model's outputs for each value of its only input.

    Raises:
        InputError: onnxruntime refuses the model or the values, or its process died.
    """
    with unbroken(TemporaryDirectory(prefix="edgekit-")) as name:
        folder = Path(name)
        (folder / _MODEL).write_bytes(onnx_model)
        for number, value in enumerate(inputs):
            np.save(folder / _INPUT.format(number), value)
        done = subprocess.run(
            [sys.executable, "-m", "edgekit.convert.onnx_runtime", name], capture_output=True
        )
        if done.returncode < 0:
            how = Signals(-done.returncode).name
            raise InputError(f"onnxruntime ended its process with {how} on the ONNX model.")
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise InputError(f"onnxruntime cannot run the ONNX model: {said[-1].rstrip('.')}.")
        return [_stored(folder, number) for number in range(len(inputs))]


def _stored(folder: Path, number: int) -> list[Values]:
    paths = (folder / _OUTPUT.format(number, output) for output in count())
    return [np.load(path) for path in takewhile(Path.exists, paths)]


def run_here(onnx_model: bytes, inputs: Sequence[Values]) -> list[list[Values]]:
    """`outputs_of` in this very process; onnxruntime's own errors leave."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(onnx_model, options, ["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return [list(map(np.asarray, session.run(None, {source.name: value}))) for value in inputs]


def main() -> None:
    """Run the model in the folder that the argument names."""
    folder = Path(sys.argv[1])
    paths = takewhile(Path.exists, (folder / _INPUT.format(number) for number in count()))
    try:
        answers = run_here((folder / _MODEL).read_bytes(), [np.load(path) for path in paths])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        sys.exit(str(error).splitlines()[0])
    for number, outputs in enumerate(answers):
        for output, value in enumerate(outputs):
            np.save(folder / _OUTPUT.format(number, output), value)


if __name__ == "__main__":
    main()
