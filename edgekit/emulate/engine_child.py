"""An engine's process: answers on standard output what `engine.Session` asks on standard input.

The engine's name is the argument. The first message holds a model, each one after it a sample; the
process ends with its input. Standard output belongs to the messages: whatever else is printed, by
Python or by the kernels, goes to standard error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import IO, Any, Protocol

from edgekit.emulate import litert, tflm
from edgekit.emulate.engine import Engine
from edgekit.emulate.samples import Border, Sample, Values, check
from edgekit.emulate.wire import receive, send
from edgekit.errors import EdgekitError


class _Interpreter(Protocol):
    @property
    def border(self) -> Border: ...

    def __call__(self, sample: Sample) -> list[Values]: ...

    def tensor(self, number: int) -> Values | None: ...


# Engine -> (its package, (model, arena bytes, keep) -> interpreter).
_ENGINES: dict[Engine, tuple[str, Callable[[bytes, int, bool], _Interpreter]]] = {
    Engine.TFLM: (
        "tflite-micro",
        lambda tflite, arena_bytes, keep: tflm.Interpreter(tflite, arena_bytes, keep=keep),
    ),
    Engine.LITERT_REFERENCE: (
        "ai-edge-litert",
        lambda tflite, _, keep: litert.Interpreter(tflite, litert.Kernels.REFERENCE, keep=keep),
    ),
    Engine.LITERT_XNNPACK: (
        "ai-edge-litert",
        lambda tflite, _, keep: litert.Interpreter(tflite, litert.Kernels.XNNPACK, keep=keep),
    ),
}


def main() -> None:
    """Load the model, then answer until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    questions = sys.stdin.buffer
    try:
        ask = _load(Engine(sys.argv[1]), *receive(questions), answers)
        while True:
            _answer(answers, lambda: ask(receive(questions)[1]))
    except EOFError:
        return


def _load(
    engine: Engine, header: dict[str, Any], arrays: list[Values | None], answers: IO[bytes]
) -> Callable[[list[Values | None]], tuple[dict[str, Any], list[Values | None]]]:
    """Build the interpreters; returns what turns a sample into an answer."""
    package, make = _ENGINES[engine]
    (model,) = arrays
    assert model is not None
    made: list[_Interpreter] = []

    def load() -> tuple[dict[str, Any], list[Values | None]]:
        made.append(make(model.tobytes(), header["arena_bytes"], False))
        if header["tensors"]:
            made.append(make(model.tobytes(), header["kept_arena_bytes"], True))
        return {"version": f"{package} {version(package)}"}, []

    def ask(arrays: list[Values | None]) -> tuple[dict[str, Any], list[Values | None]]:
        sample = [array for array in arrays if array is not None]
        check(sample, made[0].border)
        outputs: list[Values | None] = [*made[0](sample)]
        for keeper in made[1:]:
            keeper(sample)
        kept = [keeper.tensor(number) for keeper in made[1:] for number in header["tensors"]]
        return {"outputs": len(outputs)}, outputs + kept

    _answer(answers, load)
    return ask


def _answer(
    answers: IO[bytes], work: Callable[[], tuple[dict[str, Any], list[Values | None]]]
) -> None:
    """Send what the work gives, or the error it ends with."""
    try:
        header, arrays = work()
    except EdgekitError as error:
        header = {"error": type(error).__name__, "message": str(error), "hint": error.hint}
        arrays = []
    send(answers, header, arrays)


if __name__ == "__main__":
    main()
