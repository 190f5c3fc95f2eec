"""Are these pictures, or noise: what calibration on random numbers would look like.

Batches of network inputs enter; a verdict leaves. Noise has two marks, and pictures lack at least
one of them: neighbouring pixels are unrelated in every direction (strokes of a drawing run along
one), and averages over many pixels all come out alike (drawings have empty and crowded places).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

# Steps to a neighbour, (rows, columns).
_DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))
# Von Neumann's ratio of neighbouring values: 1 for independent ones, 0.68 and more after scaling
# them down, below 0.2 in photographs.
_UNRELATED = 0.5
# Variance of a block's mean over that of a pixel, times the block's side: 1 / side for noise, near
# 1 for lines one pixel wide, side / 2 and more in photographs.
_ALIKE = 0.6
_BLOCKS = 8  # along each side
SMALLEST_PICTURE = 2 * _BLOCKS


class Structure:
    """Statistics of neighbouring pixels and of blocks, over all pictures so far."""

    def __init__(self) -> None:
        self._jumps = np.zeros(len(_DIRECTIONS))
        self._blocks: list[float] = []
        self._squares: list[float] = []

    def add(self, samples: Samples) -> None:
        """Take pictures (n, height, width, channels) into account; other inputs are left out."""
        if samples.ndim != 4 or min(samples.shape[1:3]) < SMALLEST_PICTURE or not len(samples):
            return
        values = samples - samples.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
        self._squares.append(_mean_square(values) * len(values))
        self._jumps += [_mean_square(_steps(values, *step)) * len(values) for step in _DIRECTIONS]
        side = min(values.shape[1:3]) // _BLOCKS
        self._blocks.append(_mean_square(_averages(values, side)) * side * len(values))

    def is_noise(self) -> bool:
        """Whether the pictures so far have both marks; False without any, or if all are alike."""
        squares = sum(self._squares)
        if squares <= 0:
            return False
        unrelated = float(self._jumps.min()) / (2 * squares) > _UNRELATED
        return unrelated and sum(self._blocks) / squares < _ALIKE


def _mean_square(values: Samples) -> float:
    return float(np.square(values).mean(dtype=np.float64))


def _steps(values: Samples, rows: int, columns: int) -> Samples:
    """The difference of each pixel to the one so many rows below and columns to the right."""
    height, width = values.shape[1:3]
    there = values[:, rows:, max(columns, 0) : width + min(columns, 0)]
    here = values[:, : height - rows, max(-columns, 0) : width - max(columns, 0)]
    return cast(Samples, there - here)


def _averages(values: Samples, side: int) -> Samples:
    """The mean of each block of side x side pixels, (n, rows, columns, channels)."""
    n, height, width, channels = values.shape
    rows, columns = height // side, width // side
    whole = values[:, : rows * side, : columns * side]
    blocks = whole.reshape(n, rows, side, columns, side, channels)
    return cast(Samples, blocks.mean(axis=(2, 4), dtype=np.float32))
