"""Weights and images that two environments draw alike, so that neither need be stored.

The weights carry activations through any depth, and the normalization statistics are far from those
of a fresh network: a wrong epsilon, order or padding changes the logits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from math import prod

import numpy as np
import numpy.typing as npt

Shapes = Mapping[str, tuple[int, ...]]
Array = npt.NDArray[np.generic]

LOGITS = 5  # the first of each image


def keys_sha256(shapes: Shapes) -> str:
    """Hash of a state dict's names and shapes, in any order."""
    lines = (f"{name} {list(shapes[name])}\n" for name in sorted(shapes))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def weights(shapes: Shapes) -> dict[str, Array]:
    """A state dict for these shapes, drawn from one generator in the order of the names."""
    generator = np.random.default_rng(0)
    return {name: _draw(generator, name, shapes[name]) for name in sorted(shapes)}


def _draw(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith(".num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith(".running_var") or (name.endswith(".weight") and len(shape) == 1):
        return generator.random(shape, np.float32) + np.float32(0.5)
    normal = generator.standard_normal(shape, np.float32)
    if name.endswith(".weight"):
        return normal * np.float32((2 / prod(shape[1:])) ** 0.5)
    return normal * np.float32(0.1)


def images(resolution: int) -> npt.NDArray[np.float32]:
    """(2, 3, resolution, resolution): fine noise, and coarse noise of squares of 8 pixels."""
    generator = np.random.default_rng(1)
    fine = generator.standard_normal((3, resolution, resolution), np.float32)
    squares = generator.standard_normal((3, resolution // 8, resolution // 8), np.float32)
    coarse = np.kron(squares, np.ones((8, 8), np.float32))
    return np.stack([fine, 2 * coarse])
