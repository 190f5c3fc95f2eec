"""DenseNet: every layer reads all that its block computed before (Huang et al. 2017, table 1).

https://arxiv.org/abs/1608.06993, with bottlenecks and transitions that halve the channels
(DenseNet-BC). Names follow torchvision, so that its checkpoints load strictly (padding "torch");
DenseNet-264 is the paper's largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Joined, Named, Sequence
from edgekit.models.layers import (
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    PaddingMode,
)
from edgekit.models.spec import IMAGENET_MEAN, IMAGENET_STD, Architecture
from edgekit.models.width import divisible

BOTTLENECK = 4  # channels of a layer's 1x1 convolution, as a multiple of its growth


@dataclass(frozen=True)
class Design:
    """One column of the paper's table.

    Attributes:
        layers: how many, block by block.
        growth: channels that each layer adds.
        stem: channels of the first convolution.
    """

    layers: tuple[int, int, int, int]
    growth: int = 32
    stem: int = 64


DESIGNS = {
    "densenet121": Design((6, 12, 24, 16)),
    "densenet161": Design((6, 12, 36, 24), growth=48, stem=96),
    "densenet169": Design((6, 12, 32, 32)),
    "densenet201": Design((6, 12, 48, 32)),
    "densenet264": Design((6, 12, 64, 48)),
}


def layers(design: Design, alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha, which scales the stem and the growth."""
    growth, channels = divisible(design.growth * alpha), divisible(design.stem * alpha)
    features: list[tuple[str, Layer]] = [
        ("conv0", Conv(channels, 7, 2, padding=padding)),
        *_activated(0),
        ("pool0", MaxPool(3, 2, padding)),
    ]
    layer = Joined(_dense_layer(growth, padding))
    for number, count in enumerate(design.layers, 1):
        if number > 1:
            channels //= 2
            features.append((f"transition{number - 1}", _transition(channels)))
        block = tuple((f"denselayer{index + 1}", layer) for index in range(count))
        features.append((f"denseblock{number}", Sequence(block)))
        channels += count * growth
    features.append(("norm5", BatchNorm()))
    head = (
        ("relu", Activation("relu")),
        ("pool", GlobalAveragePool()),
        ("classifier", Linear(classes)),
    )
    return Sequence((("features", Sequence(tuple(features))), *head))


def _dense_layer(growth: int, padding: PaddingMode) -> Named:
    return (
        *_activated(1),
        ("conv1", Conv(BOTTLENECK * growth, 1, padding=padding)),
        *_activated(2),
        ("conv2", Conv(growth, 3, padding=padding)),
    )


def _transition(channels: int) -> Sequence:
    return Sequence(
        (
            ("norm", BatchNorm()),
            ("relu", Activation("relu")),
            ("conv", Conv(channels, 1)),
            ("pool", AveragePool(2)),
        )
    )


def _activated(number: int) -> Named:
    return (f"norm{number}", BatchNorm()), (f"relu{number}", Activation("relu"))


ARCHITECTURES = tuple(
    Architecture(
        name=name,
        family="densenet",
        resolution=224,
        alphas=(1.0,),
        layers=partial(layers, design),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source="arXiv:1608.06993; names as torchvision's",
    )
    for name, design in DESIGNS.items()
)
