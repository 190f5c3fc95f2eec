"""Engines: the kernel libraries that run TFLite files, each in a process of its own.

A file enters with the engine's name; a `Session` leaves that answers sample after sample. The
process is what makes it safe: kernels end a program where they meet what they did not expect (an
arena that is too small, a model they should have refused), and then only the session ends, with an
error that says so. What they print goes nowhere else than into that error.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import Enum
from signal import Signals
from typing import IO, Any

import numpy as np

from edgekit import errors
from edgekit.emulate.file_tensors import activation_numbers
from edgekit.emulate.samples import Sample, Values
from edgekit.emulate.tflm import HOST_ARENA_BYTES
from edgekit.emulate.wire import receive, send
from edgekit.errors import EdgekitError, UnsupportedError
from edgekit.graph.ir import Graph
from edgekit.interruption import unbroken

_CHILD = "edgekit.emulate.engine_child"
# What TFLite Micro's own records of an activation take at most, when all of them are kept.
_KEPT_OVERHEAD_BYTES = 256
_SAID_CHARACTERS = 300


class Engine(Enum):
    """A kernel library; the value is what the command line calls it."""

    TFLM = "tflm"
    LITERT_REFERENCE = "litert-reference"
    LITERT_XNNPACK = "litert-xnnpack"

    @property
    def title(self) -> str:
        """The name for people."""
        return {
            Engine.TFLM: "TFLite Micro",
            Engine.LITERT_REFERENCE: "LiteRT, reference kernels",
            Engine.LITERT_XNNPACK: "LiteRT, XNNPACK",
        }[self]


class Session:
    """A model in an engine's process.

    Attributes:
        engine: which.
        version: of its package, such as "ai-edge-litert 2.3.0".
    """

    def __init__(self, engine: Engine, child: subprocess.Popen[bytes], said: IO[bytes]) -> None:
        self.engine = engine
        self.version = ""
        self._child = child
        self._said = said
        self._watched: tuple[str, ...] = ()

    def load(self, tflite: bytes, watched: Graph | None, arena_bytes: int | None) -> None:
        """Hand the model over; see `start`."""
        numbers = activation_numbers(tflite, watched) if watched else {}
        self._watched = tuple(numbers)
        header = {
            "tensors": list(numbers.values()),
            "arena_bytes": arena_bytes or HOST_ARENA_BYTES,
            "kept_arena_bytes": HOST_ARENA_BYTES + _kept_bytes(watched, self._watched),
        }
        answer, _ = self._ask(header, [np.frombuffer(tflite, np.uint8)])
        self.version = answer["version"]

    def run(self, sample: Sample) -> tuple[list[Values], dict[str, Values]]:
        """One sample, each input of its tensor's shape and type.

        Returns:
            The outputs, and the value of each watched activation that the engine stores, by name.

        Raises:
            InputError: the sample does not fit the model.
            UnsupportedError: the engine refuses it, or its process died.
        """
        answer, arrays = self._ask({}, list(sample))
        outputs = [array for array in arrays[: answer["outputs"]] if array is not None]
        seen = zip(self._watched, arrays[answer["outputs"] :], strict=True)
        return outputs, {name: value for name, value in seen if value is not None}

    def _ask(
        self, header: Mapping[str, Any], arrays: Sequence[Values]
    ) -> tuple[dict[str, Any], list[Values | None]]:
        assert self._child.stdin is not None and self._child.stdout is not None
        try:
            send(self._child.stdin, header, arrays)
            answer, values = receive(self._child.stdout)
        except (EOFError, BrokenPipeError) as error:
            raise self._died() from error
        if "error" in answer:
            kind: type[EdgekitError] = getattr(errors, answer["error"])
            raise kind(answer["message"], hint=answer["hint"])
        return answer, values

    def _died(self) -> UnsupportedError:
        code = self._child.wait()
        self._said.seek(0)
        said = " ".join(self._said.read().decode(errors="replace").split())[-_SAID_CHARACTERS:]
        how = f"with {Signals(-code).name}" if code < 0 else f"with code {code}"
        return UnsupportedError(
            f"{self.engine.title} ended its process {how}" + (f": {said}" if said else "."),
            hint="Its kernels do so where they meet a model they do not expect.",
        )


@contextmanager
def start(
    engine: Engine,
    tflite: bytes,
    *,
    watched: Graph | None = None,
    arena_bytes: int | None = None,
) -> Iterator[Session]:
    """A session with a model loaded; its process ends with the block.

    Args:
        engine: who runs it.
        tflite: the model.
        watched: its graph, to be shown every activation too. They come from a second interpreter
            that overwrites none; the outputs from one that manages memory as on the device.
        arena_bytes: TFLite Micro's arena; None for more than enough.

    Raises:
        MissingToolError: the engine is not installed.
        UnsupportedError: it refuses the model, or ended its process over it.
    """
    with tempfile.TemporaryFile() as said, unbroken(_child(engine, said)) as child:
        session = Session(engine, child, said)
        session.load(tflite, watched, arena_bytes)
        yield session


@contextmanager
def _child(engine: Engine, said: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """An engine's process, which does not outlive the block; what it prints goes into `said`."""
    child = subprocess.Popen(
        [sys.executable, "-m", _CHILD, engine.value],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def _kept_bytes(graph: Graph | None, names: Sequence[str]) -> int:
    if graph is None:
        return 0
    return sum(graph.tensors[name].size_bytes + _KEPT_OVERHEAD_BYTES for name in names)
