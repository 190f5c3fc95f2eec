"""ResNet-v2: residual blocks normalised and activated before they convolve (He et al. 2016).

https://arxiv.org/abs/1603.05027. Names and strides follow timm's `resnetv2_50`, which halves the
map in the 3x3 convolution and classifies with a 1x1 convolution, so that its checkpoints load
strictly (padding "torch").
"""

from __future__ import annotations

from edgekit.models.blocks import Named, Residual, Sequence, numbered
from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    MaxPool,
    PaddingMode,
)
from edgekit.models.spec import Architecture
from edgekit.models.width import divisible

STEM = 64
# (channels of the 3x3 convolution, stride, blocks) of each stage at alpha = 1.
STAGES = ((64, 1, 3), (128, 2, 4), (256, 2, 6), (512, 2, 3))
EXPANSION = 4


def layers(alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha."""
    stem = (
        ("conv", Conv(divisible(STEM * alpha), 7, 2, padding=padding)),
        ("pool", MaxPool(3, 2, padding)),
    )
    stages = numbered(
        Sequence((("blocks", _stage(divisible(channels * alpha), stride, blocks, padding)),))
        for channels, stride, blocks in STAGES
    )
    head = (
        ("global_pool", GlobalAveragePool(keep_dims=True)),
        ("fc", Conv(classes, 1, bias=True)),
        ("flatten", Flatten()),
    )
    parts = (("stem", Sequence(stem)), ("stages", stages), *_activated("norm", "act"))
    return Sequence((*parts, ("head", Sequence(head))))


def _stage(channels: int, stride: int, blocks: int, padding: PaddingMode) -> Sequence:
    """The first block projects what goes past it; past the others x itself goes."""
    before = _activated("norm1", "act1")
    projection = Sequence((("conv", Conv(channels * EXPANSION, 1, stride, padding=padding)),))
    first = Residual(_body(channels, stride, padding), (("downsample", projection),), before)
    other = Residual(_body(channels, 1, padding), before=before)
    return numbered((first, *[other] * (blocks - 1)))


def _body(channels: int, stride: int, padding: PaddingMode) -> Named:
    return (
        ("conv1", Conv(channels, 1, padding=padding)),
        *_activated("norm2", "act2"),
        ("conv2", Conv(channels, 3, stride, padding=padding)),
        *_activated("norm3", "act3"),
        ("conv3", Conv(channels * EXPANSION, 1, padding=padding)),
    )


def _activated(norm: str, activation: str) -> Named:
    return (norm, BatchNorm()), (activation, Activation("relu"))


ARCHITECTURES = (
    Architecture(
        name="resnetv2_50",
        family="resnet_v2",
        resolution=224,
        alphas=(1.0,),
        layers=layers,
        mean=(127.5, 127.5, 127.5),
        std=(127.5, 127.5, 127.5),
        source="arXiv:1603.05027; names as timm's resnetv2_50",
    ),
)
