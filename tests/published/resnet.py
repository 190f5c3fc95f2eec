"""ResNet, ResNeXt and Wide ResNet as torchvision has them."""

from __future__ import annotations

from torchvision import models

_NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)

REFERENCES = {name: getattr(models, name) for name in _NAMES}
