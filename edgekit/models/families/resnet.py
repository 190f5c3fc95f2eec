"""ResNet, ResNeXt and Wide ResNet: residual blocks in four stages (He et al. 2015, table 1).

https://arxiv.org/abs/1512.03385, https://arxiv.org/abs/1611.05431 (groups),
https://arxiv.org/abs/1605.07146 (width). Names and strides follow torchvision, whose bottleneck
halves the map in its 3x3 convolution, so that its checkpoints load strictly (padding "torch").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Named, Residual, Sequence, numbered
from edgekit.models.layers import (
    Activation,
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

STEM = 64
# (channels, stride) of each stage at alpha = 1. A bottleneck gives four times its channels.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
EXPANSION = 4


@dataclass(frozen=True)
class Design:
    """One row of the papers' tables.

    Attributes:
        family: the designs that share a paper.
        blocks: how many, stage by stage.
        bottleneck: of 1x1, 3x3 and 1x1 convolutions; else the basic block of two 3x3 ones.
        groups: of a bottleneck's 3x3 convolution.
        group_width: channels of one group in the first stage.
    """

    family: str
    blocks: tuple[int, int, int, int]
    bottleneck: bool = True
    groups: int = 1
    group_width: int = 64


DESIGNS = {
    "resnet18": Design("resnet", (2, 2, 2, 2), bottleneck=False),
    "resnet34": Design("resnet", (3, 4, 6, 3), bottleneck=False),
    "resnet50": Design("resnet", (3, 4, 6, 3)),
    "resnet101": Design("resnet", (3, 4, 23, 3)),
    "resnet152": Design("resnet", (3, 8, 36, 3)),
    "resnext50_32x4d": Design("resnext", (3, 4, 6, 3), groups=32, group_width=4),
    "resnext101_32x8d": Design("resnext", (3, 4, 23, 3), groups=32, group_width=8),
    "resnext101_64x4d": Design("resnext", (3, 4, 23, 3), groups=64, group_width=4),
    "wide_resnet50_2": Design("wide_resnet", (3, 4, 6, 3), group_width=128),
    "wide_resnet101_2": Design("wide_resnet", (3, 4, 23, 3), group_width=128),
}
PAPERS = {
    "resnet": "arXiv:1512.03385",
    "resnext": "arXiv:1611.05431",
    "wide_resnet": "arXiv:1605.07146",
}


def layers(design: Design, alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha."""
    channels = divisible(STEM * alpha)
    stem = (
        ("conv1", Conv(channels, 7, 2, padding=padding)),
        ("bn1", BatchNorm()),
        ("relu", Activation("relu")),
        ("maxpool", MaxPool(3, 2, padding)),
    )
    stages = []
    for number, ((planes, stride), blocks) in enumerate(zip(STAGES, design.blocks, strict=True), 1):
        planes = divisible(planes * alpha)
        body = partial(_bottleneck, design, planes) if design.bottleneck else partial(basic, planes)
        out = planes * EXPANSION if design.bottleneck else planes
        stages.append((f"layer{number}", stage(body, channels, out, blocks, stride, padding)))
        channels = out
    head = (("avgpool", GlobalAveragePool()), ("fc", Linear(classes)))
    return Sequence((*stem, *stages, *head))


def stage(
    body: Callable[[int, PaddingMode], Named],
    channels: int,
    out: int,
    blocks: int,
    stride: int,
    padding: PaddingMode,
) -> Sequence:
    """Residual blocks, the first of which changes the channels and the size of the map."""
    projection = numbered((Conv(out, 1, stride, padding=padding), BatchNorm()))
    changes = stride != 1 or channels != out
    after = (("relu", Activation("relu")),)
    first = Residual(
        body(stride, padding), (("downsample", projection),) if changes else (), after=after
    )
    return numbered((first, *[Residual(body(1, padding), after=after)] * (blocks - 1)))


def basic(planes: int, stride: int, padding: PaddingMode) -> Named:
    """Two 3x3 convolutions."""
    return (
        *_normalised(1, Conv(planes, 3, stride, padding=padding)),
        ("relu1", Activation("relu")),
        *_normalised(2, Conv(planes, 3, padding=padding)),
    )


def _bottleneck(design: Design, planes: int, stride: int, padding: PaddingMode) -> Named:
    """1x1, 3x3 in groups, 1x1 convolution; no group is ever left without a channel."""
    width = design.groups * max(1, planes * design.group_width // STAGES[0][0])
    return (
        *_normalised(1, Conv(width, 1, padding=padding)),
        ("relu1", Activation("relu")),
        *_normalised(2, Conv(width, 3, stride, design.groups, padding)),
        ("relu2", Activation("relu")),
        *_normalised(3, Conv(planes * EXPANSION, 1, padding=padding)),
    )


def _normalised(number: int, conv: Conv) -> tuple[tuple[str, Layer], tuple[str, Layer]]:
    return (f"conv{number}", conv), (f"bn{number}", BatchNorm())


ARCHITECTURES = tuple(
    Architecture(
        name=name,
        family=design.family,
        resolution=224,
        alphas=(1.0,),
        layers=partial(layers, design),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        source=f"{PAPERS[design.family]}; names as torchvision's",
    )
    for name, design in DESIGNS.items()
)
