"""EfficientNetV2 S, M and L: fused blocks first, gated inverted residuals after (Tan and Le 2021).

https://arxiv.org/abs/2104.00298, table 4 and the authors' code for M and L. Names follow
torchvision's `efficientnet_v2_s`, `_m` and `_l`, so that its checkpoints load strictly (padding
"torch"). The published resolutions are those of inference; the paper trains at lower ones.
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Sequence
from edgekit.models.families.efficientnet import Stage, network
from edgekit.models.layers import PaddingMode
from edgekit.models.spec import IMAGENET_MEAN, IMAGENET_STD, Architecture
from edgekit.models.width import divisible

# Blocks, channels, kernel, stride, expansion; the stem has the channels of the first stage.
SMALL = (
    Stage(2, 24, 3, 1, 1, fused=True),
    Stage(4, 48, 3, 2, 4, fused=True),
    Stage(4, 64, 3, 2, 4, fused=True),
    Stage(6, 128, 3, 2, 4),
    Stage(9, 160, 3, 1, 6),
    Stage(15, 256, 3, 2, 6),
)
MEDIUM = (
    Stage(3, 24, 3, 1, 1, fused=True),
    Stage(5, 48, 3, 2, 4, fused=True),
    Stage(5, 80, 3, 2, 4, fused=True),
    Stage(7, 160, 3, 2, 4),
    Stage(14, 176, 3, 1, 6),
    Stage(18, 304, 3, 2, 6),
    Stage(5, 512, 3, 1, 6),
)
LARGE = (
    Stage(4, 32, 3, 1, 1, fused=True),
    Stage(7, 64, 3, 2, 4, fused=True),
    Stage(7, 96, 3, 2, 4, fused=True),
    Stage(10, 192, 3, 2, 4),
    Stage(19, 224, 3, 1, 6),
    Stage(25, 384, 3, 2, 6),
    Stage(7, 640, 3, 1, 6),
)
HEAD = 1280
EPSILON = 1e-3
HALF = (127.5, 127.5, 127.5)


def layers(table: tuple[Stage, ...], alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree of a table at width alpha, the head's 1,280 channels included."""
    stages = [stage.scaled(1.0, alpha) for stage in table]
    head = divisible(HEAD * alpha)
    return network(stages[0].channels, stages, head, EPSILON, classes, padding)


def _architecture(
    size: str,
    table: tuple[Stage, ...],
    resolution: int,
    mean: tuple[float, float, float] = IMAGENET_MEAN,
    std: tuple[float, float, float] = IMAGENET_STD,
) -> Architecture:
    return Architecture(
        name=f"efficientnet_v2_{size}",
        family="efficientnet_v2",
        resolution=resolution,
        alphas=(1.0,),
        layers=partial(layers, table),
        mean=mean,
        std=std,
        source="arXiv:2104.00298; names as torchvision's",
    )


ARCHITECTURES = (
    _architecture("s", SMALL, 384),
    _architecture("m", MEDIUM, 480),
    _architecture("l", LARGE, 480, HALF, HALF),
)
