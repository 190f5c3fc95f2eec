"""Images of a split as a network in torch reads them, at one resolution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from edgekit.data import Split
from edgekit.preprocessing import Preprocessing

Indices = npt.NDArray[np.int64]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Images:
    """A split through the preprocessing contract.

    Attributes:
        split: the pictures and their classes.
        preprocessing: at the resolution they are wanted in.
        device: where the network computes.
    """

    split: Split
    preprocessing: Preprocessing
    device: torch.device = CPU

    def __len__(self) -> int:
        return len(self.split)

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """True classes, shape (n,)."""
        return self.split.targets

    def pixels(self, indices: Indices) -> npt.NDArray[np.uint8]:
        """uint8 (len(indices), height, width, channels)."""
        return self.split.pixels(indices, self.preprocessing)

    def prefetch(self, indices: Indices) -> None:
        """Begin to decode what `pixels` will be asked for next, all of it."""
        self.split.prefetch(indices, self.preprocessing)

    def tensor(self, pixels: npt.NDArray[np.uint8]) -> Tensor:
        """uint8 (n, height, width, channels) -> float32 (n, channels, height, width).

        In memory the channels stay last, the order in which torch is fastest on a CPU.
        """
        inputs = torch.from_numpy(self.preprocessing.normalize(pixels)).permute(0, 3, 1, 2)
        return inputs.to(self.device)

    def inputs(self, indices: Indices) -> Tensor:
        """float32 (len(indices), channels, height, width), without augmentation."""
        return self.tensor(self.pixels(indices))

    def labelled(self, indices: Indices, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and true classes, (n,) int64, of up to `size` images at a time."""
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            yield self.inputs(chosen), torch.from_numpy(self.targets[chosen])
