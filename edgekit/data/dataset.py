"""What a data set is to the rest of edgekit: labels, four disjoint splits, and where it came from.

A `Split` hands out pixels by index through the preprocessing contract, so the same resampling
serves training, calibration, evaluation and the board. `ArraySplit` holds small pictures in memory;
`folder.FolderSplit` decodes from disk as asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.preprocessing import Preprocessing

SplitName = Literal["train", "validation", "calibration", "test"]
Indices = Sequence[int] | npt.NDArray[np.int64]


class Split(Protocol):
    """n labelled pictures, reached by index."""

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Class of every picture, int64 (n,); -1 where unknown (calibration only)."""

    def __len__(self) -> int:
        """Number of pictures, n."""

    def pixels(self, indices: Indices, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
        """Pictures as the network sees them, uint8 (len(indices), height, width, channels)."""

    def prefetch(self, indices: Indices, preprocessing: Preprocessing) -> None:
        """Get ready for `pixels` of these, in the background where that saves time."""

    def name(self, index: int) -> str:
        """What identifies this picture in its source."""

    def content(self, index: int) -> bytes:
        """The stored bytes of this picture (its file, or its pixels), for checksums."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled pictures in four disjoint splits.

    Attributes:
        name: short name for reports.
        labels: class names; a target is an index into it.
        splits: train, validation, calibration and test, all present.
        defaults: the data set's own preprocessing; `preprocessing` gives it a resolution.
        provenance: plain values for the manifest: source, licence, counts, seed, checksums.
        notes: sentences a user should read, such as "3 copies were left out of train".
    """

    name: str
    labels: tuple[str, ...]
    splits: Mapping[SplitName, Split]
    defaults: Preprocessing
    provenance: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def preprocessing(self, height: int, width: int) -> Preprocessing:
        """The data set's default contract at a resolution."""
        return self.defaults.at(height, width)


class ArraySplit:
    """Grey pictures of one size, held in memory.

    Args:
        images: uint8 (n, height, width).
        targets: int64 (n,).
        names: what identifies each picture in its source, n of them.
    """

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        targets: npt.NDArray[np.int64],
        names: Sequence[str],
    ) -> None:
        self._images = images
        self._targets = targets
        self._names = names

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """Class of every picture, int64 (n,)."""
        return self._targets

    def __len__(self) -> int:
        return len(self._images)

    def pixels(self, indices: Indices, preprocessing: Preprocessing) -> npt.NDArray[np.uint8]:
        """Pictures as the network sees them, uint8 (len(indices), height, width, channels)."""
        return preprocessing.stack([Image.fromarray(self._images[index]) for index in indices])

    def prefetch(self, indices: Indices, preprocessing: Preprocessing) -> None:
        """Nothing: the pictures are in memory."""

    def name(self, index: int) -> str:
        """What identifies this picture in its source."""
        return self._names[index]

    def content(self, index: int) -> bytes:
        """The pixels of this picture, row by row."""
        return bytes(self._images[index].tobytes())
