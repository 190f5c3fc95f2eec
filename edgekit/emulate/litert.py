"""LiteRT on the host: what a Raspberry Pi's runtime will answer.

The bytes of a .tflite and samples enter; outputs, or every intermediate tensor, leave. Integer
results may differ from TFLite Micro's by a step or more (docs/int8.md lists how far and why).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from edgekit.emulate.samples import Values, each_sample
from edgekit.errors import UnsupportedError


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
    interpreter = _interpreter(tflite, kernels, threads, keep=False)
    outputs = [details["index"] for details in interpreter.get_output_details()]

    def invoke(sample: list[Values]) -> list[Values]:
        _invoke(interpreter, sample)
        return [interpreter.get_tensor(index) for index in outputs]

    return each_sample(inputs, _border(interpreter), invoke)


def tensors(
    tflite: bytes, inputs: Sequence[Values], kernels: Kernels = Kernels.REFERENCE
) -> dict[str, Values]:
    """Every tensor's value by name for one sample, constants included.

    Tensors that the runtime gave no storage are left out.
    """
    interpreter = _interpreter(tflite, kernels, threads=1, keep=True)
    _invoke(interpreter, inputs)
    values = {}
    for details in interpreter.get_tensor_details():
        try:
            values[details["name"]] = interpreter.get_tensor(details["index"])
        except ValueError:
            continue
    return values


def _interpreter(tflite: bytes, kernels: Kernels, threads: int, keep: bool) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = {
        Kernels.REFERENCE: OpResolverType.BUILTIN_REF,
        Kernels.XNNPACK: OpResolverType.AUTO,
    }[kernels]
    try:
        with warnings.catch_warnings():
            # Keeping all tensors costs memory, which is what the warning says.
            warnings.simplefilter("ignore", UserWarning)
            interpreter = Interpreter(
                model_content=tflite,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=keep,
            )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(f"LiteRT refuses this model: {error}") from error
    return interpreter


def _border(interpreter: Any) -> list[tuple[tuple[int, ...], np.dtype[Any]]]:
    return [
        (tuple(int(size) for size in details["shape"]), np.dtype(details["dtype"]))
        for details in interpreter.get_input_details()
    ]


def _invoke(interpreter: Any, sample: Sequence[Values]) -> None:
    for details, value in zip(interpreter.get_input_details(), sample, strict=True):
        interpreter.set_tensor(details["index"], np.ascontiguousarray(value))
    interpreter.invoke()
