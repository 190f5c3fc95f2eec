"""A histogram that needs no range beforehand: how often an activation takes which values.

Arrays enter, one after the other; counts over equal bins leave. A bin's width is a power of two and
doubles whenever the values no longer fit, two bins becoming one, so that memory stays the same
however many samples come.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ir import Array

BINS = 2048
# Values of one array that are counted: an evenly spaced choice of larger ones says as much.
_COUNTED = 1 << 16
_FINEST = 2.0**-60


class Histogram:
    """Counts of values in bins [i * width, (i + 1) * width), i from `first`.

    Attributes:
        width: of a bin.
        first: index of the lowest bin.
        counts: int64 (BINS,).
    """

    def __init__(self) -> None:
        self.width = 0.0
        self.first = 0
        self.counts = np.zeros(BINS, np.int64)

    def add(self, values: Array) -> None:
        """Count the values of an array, which must be finite."""
        flat: npt.NDArray[Any] = values.reshape(-1)
        step = -(-len(flat) // _COUNTED)
        chosen = flat[::step].astype(np.float64)
        self._cover(float(chosen.min()), float(chosen.max()))
        index = np.floor(chosen / self.width).astype(np.int64) - self.first
        self.counts += np.bincount(index, minlength=BINS)

    @property
    def centres(self) -> npt.NDArray[np.float64]:
        """The middle of every bin."""
        return (self.first + 0.5 + np.arange(BINS, dtype=np.float64)) * np.float64(self.width)

    def _cover(self, low: float, high: float) -> None:
        """Widen the bins until both values have one."""
        if not self.width:
            spread = max(high - low, abs(high) * 2.0**-20, _FINEST)
            self.width = 2.0 ** math.ceil(math.log2(spread / (BINS // 2)))
            self.first = math.floor(low / self.width)
        while True:
            used = np.flatnonzero(self.counts)
            least, most = math.floor(low / self.width), math.floor(high / self.width)
            if len(used):
                least = min(least, self.first + int(used[0]))
                most = max(most, self.first + int(used[-1]))
            if most - least < BINS:
                self._move(least)
                return
            self._double()

    def _move(self, first: int) -> None:
        """Let the bins begin at another index; those that hold anything stay inside."""
        if first < self.first or first > self.first:
            self.counts = np.roll(self.counts, self.first - first)
            self.first = first

    def _double(self) -> None:
        """Join pairs of bins."""
        joined = np.zeros(BINS, np.int64)
        first = self.first // 2
        np.add.at(joined, (self.first + np.arange(BINS)) // 2 - first, self.counts)
        self.first, self.counts, self.width = first, joined, 2 * self.width
