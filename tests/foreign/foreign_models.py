"""The models other converters made, inputs for them, and the comparison of results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ir import Graph

Values = npt.NDArray[Any]
MODELS = Path(__file__).resolve().parent / "models"
# What the runtimes' float kernels may differ by: they sum in other orders.
FLOAT_TOLERANCE = 1e-5


def models(suffix: str) -> list[Path]:
    """The committed models, and those of the folder $EDGEKIT_FOREIGN (see README.md)."""
    folders = [MODELS, *map(Path, filter(None, [os.environ.get("EDGEKIT_FOREIGN")]))]
    found = {path.name: path for folder in reversed(folders) for path in folder.glob(f"*{suffix}")}
    return [found[name] for name in sorted(found)]


def random_inputs(graph: Graph, count: int, seed: int = 0) -> list[Values]:
    """One array an input: integers over their whole range, the ends and zero first; normal reals.

    `count` samples where the shape begins with 1, else one.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for name in graph.inputs:
        tensor = graph.tensors[name]
        shape = (count, *tensor.shape[1:]) if tensor.shape[0] == 1 else tensor.shape
        if tensor.quantization is None:
            arrays.append(rng.normal(0, 1, shape).astype(np.float32))
            continue
        limits = np.iinfo(tensor.dtype.numpy)
        values = rng.integers(limits.min, limits.max + 1, shape).astype(tensor.dtype.numpy)
        for i, end in enumerate((limits.min, limits.max, tensor.quantization.zero_point)):
            if tensor.shape[0] == 1 and i + 1 < count:
                values[i] = end
        arrays.append(values)
    return arrays


def smooth(rng: np.random.Generator, *shape: int) -> Values:
    """Random reals that change slowly along all axes but the first, as pictures and sounds do."""
    values = rng.normal(0, 1, shape)
    for axis in range(1, len(shape)):
        values = (values + np.roll(values, 1, axis) + np.roll(values, 2, axis)) / 1.7
    return values.astype(np.float32)


def assert_same(ours: Sequence[Values], theirs: Sequence[Values], steps: int = 0) -> None:
    """Equal shapes, types and bits; integers may differ by `steps`."""
    assert len(ours) == len(theirs)
    for left, right in zip(ours, theirs, strict=True):
        assert left.dtype == right.dtype
        assert left.shape == right.shape
        difference = np.abs(left.astype(np.float64) - right.astype(np.float64))
        assert float(difference.max(initial=0)) <= steps


def assert_close(ours: Sequence[Values], theirs: Sequence[Values], tolerance: float) -> None:
    """Float arrays that differ by at most a part of the largest value."""
    assert len(ours) == len(theirs)
    for left, right in zip(ours, theirs, strict=True):
        assert left.shape == right.shape
        scale = float(np.abs(right).max()) + 1e-9
        assert float(np.abs(left - right).max()) <= tolerance * scale
