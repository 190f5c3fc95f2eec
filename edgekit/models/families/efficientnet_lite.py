"""EfficientNet-Lite 0 to 4: EfficientNet for integer arithmetic, without gates and swish.

https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. The table is B0's
(Tan and Le 2019, https://arxiv.org/abs/1905.11946); stem, head, and the depth of the first and last
stage are the same at every size. Names follow timm's `tf_efficientnet_lite0` to `lite4`, whose
checkpoints load strictly and expect TFLite's padding ("same").
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Named, Residual, Sequence, numbered
from edgekit.models.families.efficientnet import STAGES, STEM, Stage
from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Linear,
    PaddingMode,
)
from edgekit.models.spec import Architecture

# name: width, depth, resolution.
PUBLISHED = {
    "efficientnet_lite0": (1.0, 1.0, 224),
    "efficientnet_lite1": (1.0, 1.1, 240),
    "efficientnet_lite2": (1.1, 1.2, 260),
    "efficientnet_lite3": (1.2, 1.4, 280),
    "efficientnet_lite4": (1.4, 1.8, 300),
}
HEAD = 1280
EPSILON = 1e-3
MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)


def layers(
    width: float, depth: float, alpha: float, classes: int, padding: PaddingMode
) -> Sequence:
    """The tree at width x alpha; stem and head keep their channels."""
    channels = STEM
    stages = []
    for stage in scaled(width * alpha, depth):
        block = _separable if stage.expansion == 1 else _inverted
        blocks = []
        for index in range(stage.blocks):
            stride = stage.stride if index == 0 else 1
            body = block(channels, stage, stride, padding)
            skip = stride == 1 and channels == stage.channels
            blocks.append(Residual(body) if skip else Sequence(body))
            channels = stage.channels
        stages.append(numbered(blocks))
    return Sequence(
        (
            ("conv_stem", Conv(STEM, 3, 2, padding=padding)),
            *_norm("bn1"),
            ("blocks", numbered(stages)),
            ("conv_head", Conv(HEAD, 1)),
            *_norm("bn2"),
            ("global_pool", GlobalAveragePool()),
            ("classifier", Linear(classes)),
        )
    )


def scaled(width: float, depth: float) -> tuple[Stage, ...]:
    """B0's stages at this width; the first and last one keep their depth."""
    first, *others, last = STAGES
    deeper = (stage.scaled(depth, width) for stage in others)
    return (first.scaled(1.0, width), *deeper, last.scaled(1.0, width))


def _separable(channels: int, stage: Stage, stride: int, padding: PaddingMode) -> Named:
    """Depthwise, then pointwise without an activation."""
    return (
        ("conv_dw", Conv(channels, stage.kernel, stride, None, padding)),
        *_norm("bn1"),
        ("conv_pw", Conv(stage.channels, 1)),
        ("bn2", BatchNorm(EPSILON)),
    )


def _inverted(channels: int, stage: Stage, stride: int, padding: PaddingMode) -> Named:
    """Wider, depthwise, narrower without an activation."""
    wide = channels * stage.expansion
    return (
        ("conv_pw", Conv(wide, 1)),
        *_norm("bn1"),
        ("conv_dw", Conv(wide, stage.kernel, stride, None, padding)),
        *_norm("bn2"),
        ("conv_pwl", Conv(stage.channels, 1)),
        ("bn3", BatchNorm(EPSILON)),
    )


def _norm(name: str) -> Named:
    """A batch normalization and its ReLU6; "bn1" gets "act1"."""
    return (name, BatchNorm(EPSILON)), (name.replace("bn", "act"), Activation("relu6"))


def _architecture(name: str, width: float, depth: float, resolution: int) -> Architecture:
    return Architecture(
        name=name,
        family="efficientnet_lite",
        resolution=resolution,
        alphas=(1.0,),
        layers=partial(layers, width, depth),
        mean=MEAN,
        std=STD,
        source="tensorflow/tpu efficientnet/lite; names as timm's tf_efficientnet_lite0",
        published_padding="same",
    )


ARCHITECTURES = tuple(_architecture(name, *scale) for name, scale in PUBLISHED.items())
