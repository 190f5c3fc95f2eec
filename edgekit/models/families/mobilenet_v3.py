"""MobileNetV3: searched blocks, hard-swish, squeeze and excitation (Howard et al. 2019).

https://arxiv.org/abs/1905.02244, tables 1 and 2. Rounding, names and stages follow torchvision's
`mobilenet_v3_large` and `_small`, so that their checkpoints load strictly (padding "torch"). The
minimalistic variants are those of keras.applications: the same tables with 3x3 kernels and ReLU
only, without gates, for accelerators that lack the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Gate, Named, Residual, Sequence, numbered
from edgekit.models.layers import (
    Activation,
    ActivationKind,
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
class Block:
    """A row of the published tables, at alpha = 1."""

    kernel: int
    wide: int
    out: int
    gated: bool
    activation: ActivationKind
    stride: int


@dataclass(frozen=True)
class Design:
    """A published table: its blocks, and the width of the layer before the classifier."""

    blocks: tuple[Block, ...]
    last_channels: int
    minimalistic: bool = False


STEM = (16, 2)  # channels, stride
LARGE = (
    Block(3, 16, 16, False, "relu", 1),
    Block(3, 64, 24, False, "relu", 2),
    Block(3, 72, 24, False, "relu", 1),
    Block(5, 72, 40, True, "relu", 2),
    Block(5, 120, 40, True, "relu", 1),
    Block(5, 120, 40, True, "relu", 1),
    Block(3, 240, 80, False, "hard_swish", 2),
    Block(3, 200, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 184, 80, False, "hard_swish", 1),
    Block(3, 480, 112, True, "hard_swish", 1),
    Block(3, 672, 112, True, "hard_swish", 1),
    Block(5, 672, 160, True, "hard_swish", 2),
    Block(5, 960, 160, True, "hard_swish", 1),
    Block(5, 960, 160, True, "hard_swish", 1),
)
SMALL = (
    Block(3, 16, 16, True, "relu", 2),
    Block(3, 72, 24, False, "relu", 2),
    Block(3, 88, 24, False, "relu", 1),
    Block(5, 96, 40, True, "hard_swish", 2),
    Block(5, 240, 40, True, "hard_swish", 1),
    Block(5, 240, 40, True, "hard_swish", 1),
    Block(5, 120, 48, True, "hard_swish", 1),
    Block(5, 144, 48, True, "hard_swish", 1),
    Block(5, 288, 96, True, "hard_swish", 2),
    Block(5, 576, 96, True, "hard_swish", 1),
    Block(5, 576, 96, True, "hard_swish", 1),
)
LAST_EXPANSION = 6
SQUEEZE = 4
EPSILON = 1e-3


def layers(design: Design, alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree of a design at width alpha; the layer before the classifier is scaled too."""
    swish: ActivationKind = "relu" if design.minimalistic else "hard_swish"
    channels = divisible(STEM[0] * alpha)
    features: list[Layer] = [_activated(Conv(channels, 3, STEM[1], padding=padding), swish)]
    for block in design.blocks:
        shown = _minimalistic(block) if design.minimalistic else block
        features.append(_bottleneck(shown, channels, alpha, padding))
        channels = divisible(block.out * alpha)
    features.append(_activated(Conv(LAST_EXPANSION * channels, 1), swish))
    last = Linear(divisible(design.last_channels * alpha))
    classifier = (("0", last), ("1", Activation(swish)), ("3", Linear(classes)))
    return Sequence(
        (
            ("features", numbered(features)),
            ("avgpool", GlobalAveragePool()),
            ("classifier", Sequence(classifier)),
        )
    )


def _minimalistic(block: Block) -> Block:
    return Block(3, block.wide, block.out, False, "relu", block.stride)


def _bottleneck(block: Block, channels: int, alpha: float, padding: PaddingMode) -> Layer:
    """Widen, filter each channel, weigh the channels, narrow without an activation."""
    wide, out = divisible(block.wide * alpha), divisible(block.out * alpha)
    depthwise = Conv(wide, block.kernel, block.stride, groups=None, padding=padding)
    parts: list[Layer] = [] if wide == channels else [_activated(Conv(wide, 1), block.activation)]
    parts.append(_activated(depthwise, block.activation))
    if block.gated:
        parts.append(_gate(wide))
    parts.append(numbered((Conv(out, 1), BatchNorm(EPSILON))))
    body: Named = (("block", numbered(parts)),)
    return Residual(body) if block.stride == 1 and channels == out else Sequence(body)


def _gate(channels: int) -> Gate:
    return Gate(
        (
            ("avgpool", GlobalAveragePool(keep_dims=True)),
            ("fc1", Conv(divisible(channels // SQUEEZE), 1, bias=True)),
            ("activation", Activation("relu")),
            ("fc2", Conv(channels, 1, bias=True)),
            ("scale_activation", Activation("hard_sigmoid")),
        )
    )


def _activated(conv: Conv, activation: ActivationKind) -> Sequence:
    return numbered((conv, BatchNorm(EPSILON), Activation(activation)))


def _architecture(
    name: str, design: Design, alphas: tuple[float, ...], follows: str
) -> Architecture:
    return Architecture(
        name=name,
        family="mobilenet_v3",
        resolution=224,
        alphas=alphas,
        layers=partial(layers, design),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=f"arXiv:1905.02244; {follows}",
    )


_ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.25)
_KERAS = "keras.applications with minimalistic=True; names as torchvision's full network"
ARCHITECTURES = (
    _architecture(
        "mobilenet_v3_large",
        Design(LARGE, 1280),
        _ALPHAS,
        "names as torchvision's mobilenet_v3_large",
    ),
    _architecture(
        "mobilenet_v3_small",
        Design(SMALL, 1024),
        _ALPHAS,
        "names as torchvision's mobilenet_v3_small",
    ),
    _architecture(
        "mobilenet_v3_large_minimalistic", Design(LARGE, 1280, minimalistic=True), (1.0,), _KERAS
    ),
    _architecture(
        "mobilenet_v3_small_minimalistic", Design(SMALL, 1024, minimalistic=True), (1.0,), _KERAS
    ),
)
