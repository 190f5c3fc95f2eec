"""MobileNetV1: a stem and thirteen depthwise separable blocks (Howard et al. 2017, table 1).

https://arxiv.org/abs/1704.04861. Channel rounding follows the published TF-slim code; names and
stages follow timm's `mobilenetv1_100`, so that its checkpoints load strictly (padding "torch").
"""

from __future__ import annotations

from functools import partial

from edgekit.errors import UsageError
from edgekit.models.blocks import Sequence, numbered
from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Linear,
    PaddingMode,
)
from edgekit.models.spec import Architecture

# (channels, stride) at alpha = 1. One line a stage, one pair a depthwise separable block.
STEM = (32, 2)
STAGES = (
    ((64, 1),),
    ((128, 2), (128, 1)),
    ((256, 2), (256, 1)),
    ((512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1)),
    ((1024, 2), (1024, 1)),
)
MIN_CHANNELS = 8


def scaled(channels: int, alpha: float) -> int:
    """Channels at width alpha: the integer part, at least 8 (TF-slim's `min_depth`).

    Raises:
        UsageError: alpha rounds the layer to nothing.
    """
    if int(channels * alpha) < 1:
        raise UsageError(
            f"Width multiplier {alpha:g} leaves a layer of {channels} channels with none.",
            hint=f"The published ones are 0.25, 0.5, 0.75 and 1; at least {1 / STEM[0]:g} works.",
        )
    return max(MIN_CHANNELS, int(channels * alpha))


def layers(alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha."""
    conv = partial(Conv, padding=padding)
    channels = scaled(STEM[0], alpha)
    stem = (
        ("conv_stem", conv(channels, 3, STEM[1])),
        ("bn1", BatchNorm()),
        ("act1", Activation("relu6")),
    )
    stages = []
    for stage in STAGES:
        blocks = []
        for out, stride in stage:
            depthwise = conv(channels, 3, stride, groups=None)
            channels = scaled(out, alpha)
            blocks.append(_block(depthwise, conv(channels, 1)))
        stages.append(numbered(blocks))
    head = (("global_pool", GlobalAveragePool()), ("classifier", Linear(classes)))
    return Sequence((*stem, ("blocks", numbered(stages)), *head))


def _block(depthwise: Conv, pointwise: Conv) -> Sequence:
    return Sequence(
        (
            ("conv_dw", depthwise),
            ("bn1", BatchNorm()),
            ("act1", Activation("relu6")),
            ("conv_pw", pointwise),
            ("bn2", BatchNorm()),
            ("act2", Activation("relu6")),
        )
    )


ARCHITECTURES = (
    Architecture(
        name="mobilenet_v1",
        family="mobilenet_v1",
        resolution=224,
        alphas=(0.25, 0.5, 0.75, 1.0),
        layers=layers,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        source="arXiv:1704.04861; names as timm's mobilenetv1_100",
    ),
)
