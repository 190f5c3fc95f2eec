"""MobileNetV3 as torchvision has it; the minimalistic variants are made of its blocks."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small
from torchvision.models.mobilenetv3 import _mobilenet_v3_conf


def minimalistic(name: str, width: float) -> nn.Module:
    """3x3 kernels and ReLU only, no squeeze and excitation, as keras.applications makes them."""
    blocks, last = _mobilenet_v3_conf(name, width_mult=width)
    for block in blocks:
        block.kernel, block.use_se, block.use_hs = 3, False, False
    module = MobileNetV3(blocks, last)
    for parent in list(module.modules()):
        for child_name, child in parent.named_children():
            if isinstance(child, nn.Hardswish):
                setattr(parent, child_name, nn.ReLU())
    return module


REFERENCES = {
    "mobilenet_v3_large": mobilenet_v3_large,
    "mobilenet_v3_large 0.35": partial(mobilenet_v3_large, width_mult=0.35),
    "mobilenet_v3_small": mobilenet_v3_small,
    "mobilenet_v3_small 0.5": partial(mobilenet_v3_small, width_mult=0.5),
    "mobilenet_v3_small 1.25": partial(mobilenet_v3_small, width_mult=1.25),
    "mobilenet_v3_large_minimalistic": partial(minimalistic, "mobilenet_v3_large", 1.0),
    "mobilenet_v3_small_minimalistic": partial(minimalistic, "mobilenet_v3_small", 1.0),
    "mobilenet_v3_small_minimalistic 0.75": partial(minimalistic, "mobilenet_v3_small", 0.75),
}
