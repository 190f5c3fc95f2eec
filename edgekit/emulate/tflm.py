"""TFLite Micro on the host: what the microcontroller will answer, and the arena it needs.

The bytes of a .tflite and integer (or float) samples enter; the outputs of the `tflite-micro`
wheel's interpreter leave, bit for bit those of the target. The host's arena is larger than the
target's: its pointers have 64 bits. Refused: a missing wheel, a model TFLite Micro has no kernels
for.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from edgekit import extras
from edgekit.convert.tflite_offline import without_plan
from edgekit.emulate.samples import Border, Sample, Values, each_sample
from edgekit.errors import MissingToolError, UnsupportedError

# More than any microcontroller has; untouched pages cost nothing.
HOST_ARENA_BYTES = 64 << 20
# Below this the wheel crashes before it can report a failure.
LEAST_ARENA_BYTES = 1 << 10
ARENA_ALIGNMENT_BYTES = 16
_PROBE_SECONDS = 120


def run(tflite: bytes, inputs: Sequence[Values]) -> tuple[Values, ...]:
    """The model's outputs, in an arena of more than enough.

    Args:
        tflite: the model.
        inputs: one array a model input; a batch N where its shape begins with 1 is run sample by
            sample and the outputs joined along axis 0.

    Raises:
        MissingToolError: the `tflite-micro` wheel is not installed.
        UnsupportedError: TFLite Micro refuses the model.
        InputError: the inputs do not fit the model.
    """
    interpreter = Interpreter(tflite)
    return each_sample(inputs, interpreter.border, interpreter)


class Interpreter:
    """The wheel's interpreter, tensors allocated.

    Args:
        tflite: the model.
        arena_bytes: for one that is too small use another process: it may crash this one.
        keep: leave every activation where `tensor` finds it. Takes more memory than the target.

    Attributes:
        border: (shape, dtype) of the inputs.

    Raises:
        MissingToolError: the `tflite-micro` wheel is not installed.
        UnsupportedError: TFLite Micro refuses the model (or the arena), with its own reason.
    """

    def __init__(
        self, tflite: bytes, arena_bytes: int = HOST_ARENA_BYTES, *, keep: bool = False
    ) -> None:
        runtime = _runtime()
        configs = runtime.InterpreterConfig
        if keep:  # a plan lets activations share their place, which cannot be kept
            tflite = without_plan(tflite)
        with _refusals():
            self._wheel = runtime.Interpreter.from_bytes(
                tflite,
                arena_size=arena_bytes,
                intrepreter_config=(
                    configs.kPreserveAllTensors if keep else configs.kAllocationRecording
                ),
            )
        self.border = _details(self._wheel.get_input_details)
        self._outputs = len(_details(self._wheel.get_output_details))

    def __call__(self, sample: Sample) -> list[Values]:
        """One sample's outputs."""
        with _refusals():
            for index, value in enumerate(sample):
                self._wheel.set_input(np.ascontiguousarray(value), index)
            self._wheel.invoke()
            return [self._wheel.get_output(index) for index in range(self._outputs)]

    def tensor(self, number: int) -> Values:
        """An activation of the last sample, by its number in the file, which must exist."""
        found = self._wheel.GetTensor(number, 0)
        value: Values = found["tensor_data"]
        return value.reshape(found["shape"])


def smallest_arena(tflite: bytes) -> int:
    """The smallest arena the model runs in on this host, in bytes (a multiple of 16).

    Found by bisection in another process, as an arena that is too small may crash the interpreter.

    Raises:
        MissingToolError: the `tflite-micro` wheel is not installed.
        UnsupportedError: TFLite Micro refuses the model in any arena.
    """
    Interpreter(tflite)
    too_small, enough = LEAST_ARENA_BYTES - ARENA_ALIGNMENT_BYTES, HOST_ARENA_BYTES
    while enough - too_small > ARENA_ALIGNMENT_BYTES:
        tried = _probe(tflite, too_small, enough)
        works = [size for size, verdict in tried if verdict == "enough"]
        fails = [size for size, verdict in tried if verdict != "enough"]
        enough = min([enough, *works])
        too_small = max([too_small, *fails])
    return enough


def _probe(tflite: bytes, too_small: int, enough: int) -> list[tuple[int, str]]:
    """Bisect in a child until it is done or dies; a size without a verdict is what killed it."""
    command = [sys.executable, "-m", "edgekit.emulate.tflm_probe", str(too_small), str(enough)]
    child = subprocess.run(command, input=tflite, capture_output=True, timeout=_PROBE_SECONDS)
    lines = [line.split() for line in child.stdout.decode().splitlines()]
    if not lines:
        raise MissingToolError(
            f"The arena probe did not start: {child.stderr.decode().strip()[-200:]}",
            hint="pip install 'edgekit[emulate]'",
        )
    return [(int(line[0]), line[1] if len(line) > 1 else "crash") for line in lines]


def _runtime() -> Any:
    extras.require("emulate")
    from tflite_micro.python.tflite_micro import runtime

    return runtime


def _details(of_index: Any) -> Border:
    """(shape, dtype) of input or output 0, 1, ...; the wheel ends the row with an error."""
    found: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
    with _stderr():
        while True:
            try:
                details = of_index(len(found))
            except (IndexError, SystemError):
                return found
            shape = tuple(int(size) for size in details["shape"])
            found.append((shape, np.dtype(details["dtype"])))


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the wheel's failures into one error with the reason the wheel prints."""
    with _stderr() as said:
        try:
            yield
        except (RuntimeError, struct.error) as error:
            raise UnsupportedError(
                f"TFLite Micro refuses this model: {said() or error}.",
                hint="It has fewer ops and types than LiteRT; what edgekit converts to int8 it can "
                "run.",
            ) from error


@contextmanager
def _stderr() -> Iterator[Any]:
    """Catch what the C++ code prints to file descriptor 2; yields a function that returns it."""
    with tempfile.TemporaryFile() as caught:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(caught.fileno(), 2)

        def said() -> str:
            caught.seek(0)
            lines = caught.read().decode(errors="replace").split("\n")
            return "; ".join(line.strip() for line in lines if line.strip())

        try:
            yield said
        finally:
            os.dup2(saved, 2)
            os.close(saved)
