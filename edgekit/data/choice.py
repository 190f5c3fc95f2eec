"""Seeded choices that depend on nothing but the seed and the names of what is chosen from.

Sorting by SHA-256 of seed and name replaces a random generator: the same pictures are chosen on
every machine, by every version of NumPy and in whatever order a file system lists them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.data.dataset import Split
from edgekit.errors import UsageError


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """The names in a seeded order that does not depend on the order they came in."""
    return sorted(names, key=lambda name: _rank(name, seed))


def _rank(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, eq=False)
class CalibrationRecipe:
    """Which pictures calibrate, and the proof of it.

    Attributes:
        indices: into the split, int64 (count,).
        names: of the same pictures in their source.
        seed: of the choice.
        available: pictures in the split.
        sha256: over the SHA-256 of every chosen picture's stored bytes, in order.
    """

    indices: npt.NDArray[np.int64]
    names: tuple[str, ...]
    seed: int
    available: int
    sha256: str

    @property
    def count(self) -> int:
        """Number of chosen pictures."""
        return len(self.indices)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return {
            "count": self.count,
            "available": self.available,
            "seed": self.seed,
            "sha256": self.sha256,
            "samples": list(self.names),
        }


def calibration_recipe(split: Split, count: int | None = None, seed: int = 0) -> CalibrationRecipe:
    """Choose `count` pictures of a split, in equal parts of every class as far as they reach.

    The first n of a larger choice are the choice of n.

    Args:
        split: usually `dataset.splits["calibration"]`.
        count: how many; None takes all.
        seed: of the choice.

    Raises:
        UsageError: a count of zero or less, or more than the split has.
    """
    available = len(split)
    count = available if count is None else count
    if count < 1:
        raise UsageError(f"Calibration needs at least one picture, not {count}.")
    if count > available:
        raise UsageError(
            f"Calibration on {count} pictures was asked for, but the split has {available}.",
            hint=f"Ask for at most {available}, or add pictures to the calibration split.",
        )
    ranked = sorted(range(available), key=lambda index: _rank(split.name(index), seed))
    seen: Counter[int] = Counter()
    rounds: dict[int, int] = {}  # index -> how many of its class come before it
    for index in ranked:
        target = int(split.targets[index])
        rounds[index] = seen[target]
        seen[target] += 1
    chosen = sorted(ranked, key=rounds.__getitem__)[:count]  # stable: ranked within a round
    digest = hashlib.sha256()
    for index in chosen:
        digest.update(hashlib.sha256(split.content(index)).digest())
    return CalibrationRecipe(
        indices=np.array(chosen, np.int64),
        names=tuple(split.name(index) for index in chosen),
        seed=seed,
        available=available,
        sha256=digest.hexdigest(),
    )
