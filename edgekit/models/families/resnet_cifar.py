"""ResNets for pictures of 32 pixels: three stages and no pool before them (He et al. 2015, 4.2).

https://arxiv.org/abs/1512.03385. Small enough for a microcontroller. Names follow
chenyaofo/pytorch-cifar-models, whose checkpoints load strictly (padding "torch"): where the map
halves, a 1x1 convolution goes past the block.
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Sequence
from edgekit.models.families.resnet import basic, stage
from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Linear,
    PaddingMode,
)
from edgekit.models.spec import Architecture
from edgekit.models.width import divisible

STEM = 16
# (channels, stride) of each stage at alpha = 1.
STAGES = ((16, 1), (32, 2), (64, 2))
# Blocks in every stage: 6n + 2 layers.
BLOCKS = {"resnet20": 3, "resnet56": 9}


def layers(blocks: int, alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha."""
    channels = divisible(STEM * alpha)
    stem = (
        ("conv1", Conv(channels, 3, padding=padding)),
        ("bn1", BatchNorm()),
        ("relu", Activation("relu")),
    )
    stages = []
    for number, (planes, stride) in enumerate(STAGES, 1):
        out = divisible(planes * alpha)
        part = stage(partial(basic, out), channels, out, blocks, stride, padding)
        stages.append((f"layer{number}", part))
        channels = out
    head = (("avgpool", GlobalAveragePool()), ("fc", Linear(classes)))
    return Sequence((*stem, *stages, *head))


ARCHITECTURES = tuple(
    Architecture(
        name=name,
        family="resnet_cifar",
        resolution=32,
        alphas=(1.0,),
        layers=partial(layers, blocks),
        mean=(125.307, 122.961, 113.8575),
        std=(51.5865, 50.847, 51.255),
        source="arXiv:1512.03385; names as pytorch-cifar-models'",
    )
    for name, blocks in BLOCKS.items()
)
