"""Calibration: the smallest and largest value of every activation over a set of samples.

A float graph and batches of its input enter; frozen `Ranges` leave, with warnings where the samples
cannot be representative. Refused: no samples, samples of the wrong shape, and activations that are
not finite, by name. These are plain extremes: an average or a percentile clips the tails that small
networks need. `choose_ranges` makes other ranges of them where they measure better.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgekit.compress.noise import Structure
from edgekit.errors import InputError
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph
from edgekit.progress import Progress, silent

Samples = npt.NDArray[np.float32]

# Below this, extremes are not yet extremes.
FEW_SAMPLES = 16
# Inputs beyond this were hardly prepared as for training; those that fill less than this share of
# what pixels can become show little.
_LARGEST_USUAL, _LEAST_SHARE = 30.0, 0.1
# Samples computed together; the extremes do not depend on it.
_TOGETHER = 16


@dataclass(frozen=True)
class Ranges:
    """What calibration saw.

    Attributes:
        extremes: activation name -> (smallest, largest) real value, graph inputs included.
        samples: how many samples were seen.
        warnings: sentences for the user; empty if all is well.
    """

    extremes: Mapping[str, tuple[float, float]]
    samples: int
    warnings: tuple[str, ...] = ()


def calibrate(
    graph: Graph,
    batches: Iterable[Samples],
    progress: Progress = silent,
    *,
    reals: tuple[float, float] | None = None,
) -> Ranges:
    """Run the samples through the float graph and keep every activation's extremes.

    Args:
        graph: float32, with one input.
        batches: float32 arrays (n, ...) of preprocessed inputs, n >= 1 of any size.
        reals: what the preprocessing can give, where it is known: samples that fill little of it
            are doubtful.

    Raises:
        InputError: there are no samples, they do not fit the input, or an activation is NaN or
            infinite.
    """
    if len(graph.inputs) != 1:
        raise InputError(f"Calibration needs a network with one input, not {len(graph.inputs)}.")
    seen = _Seen()
    for batch in batches:
        if batch.ndim == 0:
            raise InputError("A calibration batch is a single number, not an array of samples.")
        for start in range(0, len(batch), _TOGETHER):
            part = np.asarray(batch[start : start + _TOGETHER], np.float32)
            seen.structure.add(part)
            with np.errstate(over="ignore", invalid="ignore"):  # `watch` names what overflows
                run(graph, [part], seen.watch)
            seen.samples += len(part)
            progress("calibrating", seen.samples, 0)
    if seen.samples == 0:
        raise InputError(
            "Calibration got no samples.", hint="Give a calibration set with at least one picture."
        )
    return Ranges(seen.extremes, seen.samples, tuple(seen.warnings(graph, reals)))


@dataclass
class _Seen:
    """Extremes and structure so far."""

    extremes: dict[str, tuple[float, float]] = field(default_factory=dict)
    samples: int = 0
    structure: Structure = field(default_factory=Structure)

    def watch(self, name: str, values: Array) -> None:
        """Widen a tensor's extremes."""
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(low + high):
            raise InputError(
                f"The activation '{name}' is NaN or infinite during calibration.",
                hint="Check the weights, and that the calibration inputs are finite.",
            )
        before = self.extremes.get(name, (low, high))
        self.extremes[name] = (min(low, before[0]), max(high, before[1]))

    def warnings(self, graph: Graph, reals: tuple[float, float] | None) -> list[str]:
        """What makes these samples doubtful."""
        found = []
        if self.samples == 1:
            found.append(
                "Only one calibration sample: whatever goes beyond its ranges will be clipped, and "
                "accuracy may fall without notice. 100 or more are usual."
            )
        elif self.samples < FEW_SAMPLES:
            found.append(f"Only {self.samples} calibration samples: 100 or more are usual.")
        if self.structure.is_noise():
            found.append(
                "The calibration inputs look like noise: neighbouring pixels are unrelated."
            )
        low, high = self.extremes[graph.inputs[0]]
        if low == high:
            found.append(f"All calibration inputs hold the single value {low:g}.")
        found += _doubtful_scale(low, high, reals)
        dead = [
            name for name, (a, b) in self.extremes.items() if a == b and name not in graph.inputs
        ]
        if dead:
            found.append(
                f"{len(dead)} activations never changed during calibration, first '{dead[0]}'."
            )
        return found


def _doubtful_scale(low: float, high: float, reals: tuple[float, float] | None) -> list[str]:
    """What the inputs' extremes say about how they were prepared."""
    if reals is None and max(high, -low) > _LARGEST_USUAL:
        return [
            f"The calibration inputs reach from {low:g} to {high:g}; networks are mostly trained "
            "on values of a few units. Prepare the samples as for training."
        ]
    if reals is not None and 0 < high - low < _LEAST_SHARE * (reals[1] - reals[0]):
        share = 100 * (high - low) / (reals[1] - reals[0])
        return [
            f"The calibration pictures fill {share:.0f} % of the range of pixels: real pictures "
            "will go beyond the ranges they set."
        ]
    return []
