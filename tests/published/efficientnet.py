"""EfficientNet as torchvision has it."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision import models
from torchvision.models.efficientnet import EfficientNet, _efficientnet_conf


def narrow_b0(width: float) -> nn.Module:
    """B0 at another width, which torchvision's functions for it do not offer."""
    stages, last = _efficientnet_conf("efficientnet_b0", width_mult=width, depth_mult=1.0)
    return EfficientNet(stages, dropout=0.2, last_channel=last)


SETTLED = True
REFERENCES = {
    "efficientnet_b0": models.efficientnet_b0,
    "efficientnet_b0 0.25": partial(narrow_b0, 0.25),
    "efficientnet_b0 0.6": partial(narrow_b0, 0.6),
    "efficientnet_b1": models.efficientnet_b1,
    "efficientnet_b2": models.efficientnet_b2,
    "efficientnet_b3": models.efficientnet_b3,
    "efficientnet_b4": models.efficientnet_b4,
    "efficientnet_b5": models.efficientnet_b5,
    "efficientnet_b6": models.efficientnet_b6,
    "efficientnet_b7": models.efficientnet_b7,
}
