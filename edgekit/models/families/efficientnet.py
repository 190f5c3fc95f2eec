"""EfficientNet B0 to B7: inverted residuals with squeeze and excitation (Tan and Le 2019).

https://arxiv.org/abs/1905.11946, table 1 and the authors' coefficients of B1 to B7. Names follow
torchvision's `efficientnet_b0` to `b7`, so that its checkpoints load strictly (padding "torch").
Dropout and stochastic depth, which only a training sees, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from edgekit.models.blocks import Gate, Residual, Sequence, numbered
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


@dataclass(frozen=True)
class Stage:
    """Blocks of one kind; the first of them has the stride and changes the channels.

    Attributes:
        blocks, channels, kernel, stride: see the paper's table.
        expansion: channels inside a block over those that enter it.
        fused: one square convolution instead of 1x1 and depthwise, no gate (EfficientNetV2).
    """

    blocks: int
    channels: int
    kernel: int
    stride: int
    expansion: int
    fused: bool = False

    def scaled(self, depth: float, width: float) -> Stage:
        """More blocks (rounded up) of more channels (rounded to multiples of 8)."""
        blocks = math.ceil(depth * self.blocks)
        return replace(self, blocks=blocks, channels=divisible(self.channels * width))


# B0: blocks, channels, kernel, stride, expansion.
STEM = 32
STAGES = (
    Stage(1, 16, 3, 1, 1),
    Stage(2, 24, 3, 2, 6),
    Stage(2, 40, 5, 2, 6),
    Stage(3, 80, 3, 2, 6),
    Stage(3, 112, 5, 1, 6),
    Stage(4, 192, 5, 2, 6),
    Stage(1, 320, 3, 1, 6),
)
HEAD = 4  # times the channels of the last stage
SQUEEZE = 4

# name: width, depth, resolution, epsilon of the batch normalization (as the checkpoints have it).
PUBLISHED = {
    "efficientnet_b0": (1.0, 1.0, 224, 1e-5),
    "efficientnet_b1": (1.0, 1.1, 240, 1e-5),
    "efficientnet_b2": (1.1, 1.2, 260, 1e-5),
    "efficientnet_b3": (1.2, 1.4, 300, 1e-5),
    "efficientnet_b4": (1.4, 1.8, 380, 1e-5),
    "efficientnet_b5": (1.6, 2.2, 456, 1e-3),
    "efficientnet_b6": (1.8, 2.6, 528, 1e-3),
    "efficientnet_b7": (2.0, 3.1, 600, 1e-3),
}
BASELINE = "efficientnet_b0"


def layers(
    width: float, depth: float, epsilon: float, alpha: float, classes: int, padding: PaddingMode
) -> Sequence:
    """The tree: B0's stages at `depth` and `width` x alpha."""
    stages = [stage.scaled(depth, width * alpha) for stage in STAGES]
    stem, head = divisible(STEM * width * alpha), HEAD * stages[-1].channels
    return network(stem, stages, head, epsilon, classes, padding)


def network(
    stem: int,
    stages: Iterable[Stage],
    head: int,
    epsilon: float,
    classes: int,
    padding: PaddingMode,
) -> Sequence:
    """Stem, stages, a 1x1 convolution to `head` channels, and the classifier."""
    parts = _Parts(epsilon, padding)
    channels = stem
    features: list[Layer] = [parts.activated(stem, 3, 2)]
    for stage in stages:
        block = parts.fused if stage.fused else parts.inverted
        blocks = []
        for index in range(stage.blocks):
            stride = stage.stride if index == 0 else 1
            body = (("block", numbered(block(channels, stage, stride))),)
            skip = stride == 1 and channels == stage.channels
            blocks.append(Residual(body) if skip else Sequence(body))
            channels = stage.channels
        features.append(numbered(blocks))
    features.append(parts.activated(head, 1))
    return Sequence(
        (
            ("features", numbered(features)),
            ("avgpool", GlobalAveragePool()),
            ("classifier", Sequence((("1", Linear(classes)),))),
        )
    )


@dataclass(frozen=True)
class _Parts:
    """What blocks are made of, at one epsilon and padding."""

    epsilon: float
    padding: PaddingMode

    def inverted(self, channels: int, stage: Stage, stride: int) -> list[Layer]:
        """Wider, depthwise, gated, narrower (MBConv)."""
        wide = channels * stage.expansion
        widen = [self.activated(wide, 1)] if wide != channels else []
        depthwise = self.activated(wide, stage.kernel, stride, groups=None)
        return [*widen, depthwise, _gate(channels, wide), self.linear(stage.channels)]

    def fused(self, channels: int, stage: Stage, stride: int) -> list[Layer]:
        """Wider by a square convolution, then narrower; only the former where nothing widens."""
        wide = channels * stage.expansion
        if wide == channels:
            return [self.activated(stage.channels, stage.kernel, stride)]
        return [self.activated(wide, stage.kernel, stride), self.linear(stage.channels)]

    def activated(self, out: int, kernel: int, stride: int = 1, groups: int | None = 1) -> Sequence:
        """Convolution, batch normalization, swish."""
        conv = Conv(out, kernel, stride, groups, self.padding)
        return numbered((conv, BatchNorm(self.epsilon), Activation("swish")))

    def linear(self, out: int) -> Sequence:
        """A 1x1 convolution and its batch normalization."""
        return numbered((Conv(out, 1), BatchNorm(self.epsilon)))


def _gate(channels: int, wide: int) -> Gate:
    """Squeeze and excitation by way of a quarter of the channels that enter the block."""
    return Gate(
        (
            ("avgpool", GlobalAveragePool(keep_dims=True)),
            ("fc1", Conv(max(1, channels // SQUEEZE), 1, bias=True)),
            ("activation", Activation("swish")),
            ("fc2", Conv(wide, 1, bias=True)),
            ("scale_activation", Activation("sigmoid")),
        )
    )


def _architecture(
    name: str, epsilon: float, width: float, depth: float, resolution: int
) -> Architecture:
    return Architecture(
        name=name,
        family="efficientnet",
        resolution=resolution,
        alphas=(1.0,),
        layers=partial(layers, width, depth, epsilon),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source="arXiv:1905.11946; names as torchvision's",
        compound=partial(_architecture, name, epsilon) if name == BASELINE else None,
    )


ARCHITECTURES = tuple(
    _architecture(name, epsilon, width, depth, resolution)
    for name, (width, depth, resolution, epsilon) in PUBLISHED.items()
)
