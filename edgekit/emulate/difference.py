"""How far two arrays lie apart, as a value that adds up over samples and outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgekit.emulate.samples import Values
from edgekit.errors import VerificationError


@dataclass(frozen=True)
class Difference:
    """What a comparison found.

    Attributes:
        elements: compared.
        differing: of them, not equal.
        off_by_one: of those, by one step; 0 for floating-point values.
        largest: the largest difference, in steps, or in real units for floating-point values.
    """

    elements: int = 0
    differing: int = 0
    off_by_one: int = 0
    largest: float = 0

    @staticmethod
    def between(ours: Values, theirs: Values) -> Difference:
        """Compare element by element; NaN equals NaN.

        Raises:
            VerificationError: the arrays have different shapes or types.
        """
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise VerificationError(
                f"{ours.dtype} {ours.shape} was expected, {theirs.dtype} {theirs.shape} came."
            )
        if ours.dtype.kind != "f":
            steps = np.abs(ours.astype(np.int64) - theirs)
            differing = int(np.count_nonzero(steps))
            off_by_one = int(np.count_nonzero(steps == 1))
            return Difference(ours.size, differing, off_by_one, int(steps.max(initial=0)))
        apart = (ours != theirs) & ~(np.isnan(ours) & np.isnan(theirs))
        with np.errstate(invalid="ignore", over="ignore"):
            sizes = np.abs(ours[apart].astype(np.float64) - theirs[apart])
        largest = float(np.nan_to_num(sizes, nan=np.inf).max(initial=0))
        return Difference(ours.size, int(np.count_nonzero(apart)), 0, largest)

    @staticmethod
    def total(parts: Iterable[Difference]) -> Difference:
        """The sum of several."""
        return sum(parts, Difference())

    def __add__(self, other: Difference) -> Difference:
        return Difference(
            self.elements + other.elements,
            self.differing + other.differing,
            self.off_by_one + other.off_by_one,
            max(self.largest, other.largest),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; JSON has no infinity, so that becomes None."""
        values = asdict(self)
        return {**values, "largest": None} if self.largest == np.inf else values
