"""A trained network that a smaller one learns from.

It sees what its student sees, at its own resolution: the source pictures through the teacher's own
preprocessing, mirrored, shifted and erased like the student's (Beyer et al. 2022,
https://arxiv.org/abs/2106.05237: the same view for both). Enlarging the student's batch instead
would show it the blur of a quarter of the side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgekit.data import Split
from edgekit.preprocessing import Preprocessing
from edgekit.training.augment import Changes, augment
from edgekit.training.images import Images, Indices


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network that is asked and not trained; threads may ask it side by side.

    Attributes:
        module: float images (n, channels, height, width) -> logits (n, classes of the student).
        preprocessing: its own, at its own resolution.
    """

    module: nn.Module
    preprocessing: Preprocessing

    def on(self, device: torch.device) -> Teacher:
        """Ready to be asked, on a device: in evaluation mode, without gradients."""
        return replace(self, module=self.module.eval().requires_grad_(False).to(device))

    def logits(
        self, split: Split, indices: Indices, changes: Changes, device: torch.device
    ) -> Tensor:
        """What it says of some images of a split, float32 (len(indices), classes)."""
        images = Images(split, self.preprocessing, device)
        changes = changes.at(self.preprocessing.height, self.preprocessing.width)
        with torch.no_grad():
            answers: Tensor = self.module(images.tensor(augment(images.pixels(indices), changes)))
        return answers
