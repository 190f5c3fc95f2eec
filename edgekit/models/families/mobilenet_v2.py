"""MobileNetV2: inverted residuals with linear bottlenecks (Sandler et al. 2018, table 2).

https://arxiv.org/abs/1801.04381. Rounding, names and stages follow torchvision's `mobilenet_v2`, so
that its checkpoints load strictly (padding "torch").
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Named, Residual, Sequence, numbered
from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    PaddingMode,
)
from edgekit.models.spec import IMAGENET_MEAN, IMAGENET_STD, Architecture
from edgekit.models.width import divisible

STEM = (32, 2)  # channels, stride
# (expansion, channels, blocks, stride of the first), one line a stage.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
LAST_CHANNELS = 1280


def layers(alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha; the last convolution grows with it but does not shrink."""
    conv = partial(Conv, padding=padding)
    channels = divisible(STEM[0] * alpha)
    features: list[Layer] = [_activated(conv(channels, 3, STEM[1]))]
    for expansion, base, blocks, stride in STAGES:
        out = divisible(base * alpha)
        for block in range(blocks):
            wide = channels * expansion
            depthwise = conv(wide, 3, 1 if block else stride, groups=None)
            body = _body(expansion, depthwise, out)
            joins = depthwise.stride == 1 and channels == out
            features.append(Residual(body) if joins else Sequence(body))
            channels = out
    features.append(_activated(Conv(divisible(LAST_CHANNELS * max(1.0, alpha)), 1)))
    return Sequence(
        (
            ("features", numbered(features)),
            ("avgpool", GlobalAveragePool()),
            ("classifier", Sequence((("1", Linear(classes)),))),
        )
    )


def _body(expansion: int, depthwise: Conv, out: int) -> Named:
    """Widen, filter each channel, narrow without an activation."""
    convolutions = [depthwise] if expansion == 1 else [Conv(depthwise.out, 1), depthwise]
    parts = (*map(_activated, convolutions), Conv(out, 1), BatchNorm())
    return (("conv", numbered(parts)),)


def _activated(conv: Conv) -> Sequence:
    return numbered((conv, BatchNorm(), Activation("relu6")))


ARCHITECTURES = (
    Architecture(
        name="mobilenet_v2",
        family="mobilenet_v2",
        resolution=224,
        alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
        layers=layers,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source="arXiv:1801.04381; names as torchvision's mobilenet_v2",
    ),
)
