"""Calibration: the smallest and largest value of every activation over a set of samples.

A float graph and batches of its input enter; frozen `Ranges` leave, with warnings where the samples
cannot be representative. Refused: no samples, samples of the wrong shape, and activations that are
not finite, by name. Plain extremes are used: a moving average or percentile clips the tails that
small networks need (each other choice of ranges is an accuracy repair of its own).
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


def calibrate(graph: Graph, batches: Iterable[Samples], progress: Progress = silent) -> Ranges:
    """Run the samples through the float graph and keep every activation's extremes.

    Args:
        graph: float32, with one input.
        batches: float32 arrays (n, ...) of preprocessed inputs, n >= 1 of any size.

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
    return Ranges(seen.extremes, seen.samples, tuple(seen.warnings(graph)))


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

    def warnings(self, graph: Graph) -> list[str]:
        """What makes these samples doubtful."""
        found = []
        if self.samples < FEW_SAMPLES:
            found.append(f"Only {self.samples} calibration samples: 100 or more are usual.")
        if self.structure.is_noise():
            found.append(
                "The calibration inputs look like noise: neighbouring pixels are unrelated."
            )
        low, high = self.extremes[graph.inputs[0]]
        if low == high:
            found.append(f"All calibration inputs hold the single value {low:g}.")
        dead = [
            name for name, (a, b) in self.extremes.items() if a == b and name not in graph.inputs
        ]
        if dead:
            found.append(
                f"{len(dead)} activations never changed during calibration, first '{dead[0]}'."
            )
        return found
