"""LiteRT on the host: what a Raspberry Pi's runtime will answer.

The bytes of a .tflite and samples enter; outputs, or every intermediate tensor, leave. Integer
results may differ from TFLite Micro's by a step or more (docs/int8.md lists how far and why).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np

from edgekit.emulate.samples import Sample, Values, each_sample
from edgekit.errors import MissingToolError, UnsupportedError


class Kernels(Enum):
    """Which of LiteRT's implementations computes."""

    REFERENCE = "reference"
    """Plain C++, the definition."""
    XNNPACK = "xnnpack"
    """The default on a Raspberry Pi: the XNNPACK delegate, optimized kernels where it has none."""


def run(
    tflite: bytes,
    inputs: Sequence[Values],
    kernels: Kernels = Kernels.XNNPACK,
    threads: int = 1,
) -> tuple[Values, ...]:
    """The model's outputs; a batch N where an input's shape begins with 1 is run one by one.

    Raises:
        UnsupportedError: LiteRT refuses the model.
        InputError: the inputs do not fit the model.
    """
    interpreter = Interpreter(tflite, kernels, threads=threads)
    return each_sample(inputs, interpreter.border, interpreter)


def tensors(
    tflite: bytes, inputs: Sequence[Values], kernels: Kernels = Kernels.REFERENCE
) -> dict[str, Values]:
    """Every tensor's value by name for one sample, constants included.

    Tensors that the runtime gave no storage are left out.
    """
    interpreter = Interpreter(tflite, kernels, keep=True)
    interpreter(inputs)
    found = {name: interpreter.tensor(number) for name, number in interpreter.names()}
    return {name: value for name, value in found.items() if value is not None}


class Interpreter:
    """LiteRT's interpreter, tensors allocated.

    Args:
        tflite: the model.
        kernels: which implementation.
        threads: how many compute.
        keep: leave every activation where `tensor` finds it.

    Attributes:
        border: (shape, dtype) of the inputs.

    Raises:
        MissingToolError: LiteRT is not installed.
        UnsupportedError: LiteRT refuses the model.
    """

    def __init__(
        self, tflite: bytes, kernels: Kernels, *, threads: int = 1, keep: bool = False
    ) -> None:
        runtime = _runtime()
        resolver = {
            Kernels.REFERENCE: runtime.OpResolverType.BUILTIN_REF,
            Kernels.XNNPACK: runtime.OpResolverType.AUTO,
        }[kernels]
        with _refusals(), warnings.catch_warnings():
            # Keeping all tensors costs memory, which is what the warning says.
            warnings.simplefilter("ignore", UserWarning)
            self._runtime = runtime.Interpreter(
                model_content=tflite,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=keep,
            )
            self._runtime.allocate_tensors()
        self._inputs = [details["index"] for details in self._runtime.get_input_details()]
        self._outputs = [details["index"] for details in self._runtime.get_output_details()]
        self.border = [
            (tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]))
            for details in self._runtime.get_input_details()
        ]

    def __call__(self, sample: Sample) -> list[Values]:
        """One sample's outputs."""
        with _refusals():
            for index, value in zip(self._inputs, sample, strict=True):
                self._runtime.set_tensor(index, np.ascontiguousarray(value))
            self._runtime.invoke()
            return [self._runtime.get_tensor(index) for index in self._outputs]

    def tensor(self, number: int) -> Values | None:
        """A tensor of the last sample, by its number in the file; None if it was not stored."""
        try:
            value: Values = self._runtime.get_tensor(number)
        except ValueError:
            return None
        return value

    def names(self) -> Iterator[tuple[str, int]]:
        """Every tensor's name and number."""
        for details in self._runtime.get_tensor_details():
            yield details["name"], details["index"]


def _runtime() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as error:
        raise MissingToolError("LiteRT is not installed.", hint="pip install edgekit") from error
    return interpreter


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(f"LiteRT refuses this model: {error}") from error
