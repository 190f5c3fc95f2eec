"""Which range of an activation int8 should cover: one small function a method.

What calibration saw of an activation (its histogram and its extremes) enters; (low, high) leaves.
Extremes lose nothing but may waste steps on a value seen once; the others cut tails off, each after
its own idea of what that costs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from edgekit.compress.histogram import Histogram

Extremes = tuple[float, float]
Method = Literal["minmax", "average", "percentile", "mse", "kl"]
METHODS: tuple[Method, ...] = get_args(Method)

_KEPT = 0.9999  # of the values, by "percentile"
_STEPS = 255
# Ranges that "mse" and "kl" try: shares of the extremes.
_SHARES = np.concatenate([np.linspace(0.1, 0.5, 9)[:-1], np.linspace(0.5, 1.0, 26)])


class Observed:
    """All that was seen of one activation; `add` takes one array of whole samples at a time."""

    def __init__(self) -> None:
        self.extremes: Extremes = (np.inf, -np.inf)
        self.histogram = Histogram()
        self._sums = np.zeros(2)
        self._samples = 0

    def add(self, values: npt.NDArray[np.generic]) -> None:
        """Take an array (n, ...) into account."""
        rows = values.reshape(len(values), -1)
        lows, highs = rows.min(axis=1), rows.max(axis=1)
        low, high = self.extremes
        self.extremes = (min(low, float(lows.min())), max(high, float(highs.max())))
        self._sums += lows.sum(dtype=np.float64), highs.sum(dtype=np.float64)
        self._samples += len(rows)
        self.histogram.add(values)

    @property
    def average(self) -> Extremes:
        """The mean over samples of each one's extremes."""
        low, high = self._sums / max(1, self._samples)
        return float(low), float(high)


def minmax(seen: Observed) -> Extremes:
    """The extremes."""
    return seen.extremes


def average(seen: Observed) -> Extremes:
    """The average of the samples' extremes. Source: Jacob et al. 2018, arXiv:1712.05877, section
    3.1, who let a moving average forget; here every sample counts alike, in whatever order.
    """
    return seen.average


def percentile(seen: Observed) -> Extremes:
    """All but the outermost 0.01 % of the values. Source: Wu et al. 2020, arXiv:2004.09602."""
    cumulated = np.cumsum(seen.histogram.counts)
    outside = (1 - _KEPT) / 2 * cumulated[-1]
    low = int(np.searchsorted(cumulated, outside, side="right"))
    high = int(np.searchsorted(cumulated, cumulated[-1] - outside))
    width, first = seen.histogram.width, seen.histogram.first
    return _within(seen, (first + low) * width, (first + high + 1) * width)


def mse(seen: Observed) -> Extremes:
    """The range with the least mean squared error of the quantized values. Source: Banner et al.
    2019, arXiv:1810.05723; Wu et al. 2020, arXiv:2004.09602 (there "entropy" and "max" beside it).
    """
    values, counts = _occupied(seen.histogram)

    def cost(low: float, high: float) -> float:
        return float(np.dot(counts, np.square(values - _quantized(values, low, high))))

    return _least(seen, cost)


def kl(seen: Observed) -> Extremes:
    """The range whose 255 steps keep most of the distribution, by Kullback-Leibler divergence.
    Source: Migacz 2017, 8-bit Inference with TensorRT, GTC.
    """
    values, counts = _occupied(seen.histogram)
    total = counts.sum()

    def cost(low: float, high: float) -> float:
        """What is clipped piles up on the outermost bins; a step spreads evenly over its bins."""
        clipped = np.clip(values, low, high)
        steps = np.rint(_quantized(values, low, high) / max((high - low) / _STEPS, 1e-300))
        inside = (values >= low) & (values <= high)
        if not inside.any():
            return np.inf
        reference = _piled(clipped, counts, inside)
        _, of = np.unique(steps[inside], return_inverse=True)
        mass = np.bincount(of, weights=counts[inside])
        bins = np.bincount(of)
        spread = (mass / bins)[of]
        p, q = reference / total, spread / spread.sum()
        return float(np.sum(p * np.log(p / q)))

    return _least(seen, cost)


_FUNCTIONS: Mapping[Method, Callable[[Observed], Extremes]] = {
    "minmax": minmax,
    "average": average,
    "percentile": percentile,
    "mse": mse,
    "kl": kl,
}


def chosen_by(method: Method, seen: Observed) -> Extremes:
    """The range that a method chooses."""
    return _FUNCTIONS[method](seen)


def _occupied(histogram: Histogram) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The middles of the bins that hold anything, and their counts."""
    used = histogram.counts > 0
    return histogram.centres[used], histogram.counts[used].astype(np.float64)


def _least(seen: Observed, cost: Callable[[float, float], float]) -> Extremes:
    """The cheapest of the ranges that are a share of the extremes: first the wider side's."""
    low, high = min(seen.extremes[0], 0.0), max(seen.extremes[1], 0.0)
    if low == high:
        return seen.extremes
    both = min(_SHARES, key=lambda share: (cost(low * share, high * share), -share))
    low, high = low * both, high * both
    below = min(_SHARES, key=lambda share: (cost(low * share, high), -share)) if low else 1.0
    above = min(_SHARES, key=lambda share: (cost(low * below, high * share), -share))
    return _within(seen, low * below, high * above if high else 0.0)


def _quantized(values: npt.NDArray[np.float64], low: float, high: float) -> npt.NDArray[np.float64]:
    """The nearest reals that 8 bits hold between two ends."""
    step = (high - low) / _STEPS
    if step <= 0:
        return np.zeros_like(values)
    rounded: npt.NDArray[np.float64] = np.clip(np.rint(values / step) * step, low, high)
    return rounded


def _piled(
    clipped: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    inside: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """The counts inside, those beyond either end added to the outermost."""
    piled = counts[inside].copy()
    middle = clipped[inside]
    piled[0] += counts[~inside & (clipped < middle[0])].sum()
    piled[-1] += counts[~inside & (clipped > middle[-1])].sum()
    return piled


def _within(seen: Observed, low: float, high: float) -> Extremes:
    """A range no wider than the extremes."""
    return max(float(low), seen.extremes[0]), min(float(high), seen.extremes[1])
