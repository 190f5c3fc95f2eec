"""Cut a batch into the samples an interpreter takes, and join what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

Values = npt.NDArray[Any]
Border = Sequence[tuple[tuple[int, ...], np.dtype[Any]]]


def each_sample(
    inputs: Sequence[Values],
    expected: Border,
    invoke: Callable[[list[Values]], list[Values]],
) -> tuple[Values, ...]:
    """Call `invoke` for every sample and join its outputs along axis 0.

    Args:
        inputs: one array a model input, of its shape, or with a batch N where that begins with 1.
        expected: (shape, dtype) of the model's inputs.
        invoke: one sample's inputs -> its outputs.

    Raises:
        InputError: the inputs do not fit the model.
    """
    if len(inputs) != len(expected):
        raise InputError(f"The model has {len(expected)} inputs, {len(inputs)} were given.")
    counts = {_samples(value, *border) for value, border in zip(inputs, expected, strict=True)}
    if len(counts) != 1:
        raise InputError(f"The inputs hold batches of different sizes: {sorted(counts)}.")
    count = counts.pop()
    if count == 1:
        return tuple(invoke(list(inputs)))
    results = [invoke([value[i : i + 1] for value in inputs]) for i in range(count)]
    return tuple(np.concatenate(output) for output in zip(*results, strict=True))


def _samples(value: Values, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    if value.dtype != dtype:
        raise InputError(f"The model reads {dtype}, {value.dtype} was given.")
    if value.shape == shape:
        return 1
    if shape[:1] == (1,) and value.ndim == len(shape) and value.shape[1:] == shape[1:]:
        return len(value)
    raise InputError(f"The model reads shape {shape}, {value.shape} was given.")
