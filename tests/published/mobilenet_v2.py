"""MobileNetV2 as torchvision has it."""

from __future__ import annotations

from functools import partial

from torchvision.models import mobilenet_v2

REFERENCES = {
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v2 0.35": partial(mobilenet_v2, width_mult=0.35),
    "mobilenet_v2 1.4": partial(mobilenet_v2, width_mult=1.4),
}
