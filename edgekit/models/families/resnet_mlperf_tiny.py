"""ResNet-8, the image classifier of MLPerf Tiny (Banbury et al. 2021, https://arxiv.org/abs/2106.07597).

Source: mlcommons/tiny, benchmark/training/image_classification/keras_model.py: one block a stage,
Keras' convolutions with a bias, its BatchNorm's epsilon, and a projection that nothing normalises.
The names are those of the other ResNets, as Keras numbers its layers.
"""

from __future__ import annotations

from edgekit.models.blocks import Named, Residual, Sequence, numbered
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
# (channels, stride) of each stage's block at alpha = 1.
STAGES = ((16, 1), (32, 2), (64, 2))
EPSILON = 1e-3


def layers(alpha: float, classes: int, padding: PaddingMode) -> Sequence:
    """The tree at width alpha."""
    stem = _normalised(1, Conv(divisible(STEM * alpha), 3, padding=padding, bias=True))
    stages = tuple(
        (f"layer{number}", numbered((_block(divisible(channels * alpha), stride, padding),)))
        for number, (channels, stride) in enumerate(STAGES, 1)
    )
    head = (("avgpool", GlobalAveragePool()), ("fc", Linear(classes)))
    return Sequence((*stem, ("relu", Activation("relu")), *stages, *head))


def _block(channels: int, stride: int, padding: PaddingMode) -> Residual:
    """Past a block that halves the map goes a 1x1 convolution."""
    body = (
        *_normalised(1, Conv(channels, 3, stride, padding=padding, bias=True)),
        ("relu1", Activation("relu")),
        *_normalised(2, Conv(channels, 3, padding=padding, bias=True)),
    )
    projection = numbered((Conv(channels, 1, stride, padding=padding, bias=True),))
    shortcut = (("downsample", projection),) if stride > 1 else ()
    return Residual(body, shortcut, after=(("relu", Activation("relu")),))


def _normalised(number: int, conv: Conv) -> Named:
    return (f"conv{number}", conv), (f"bn{number}", BatchNorm(EPSILON))


ARCHITECTURES = (
    Architecture(
        name="resnet8",
        family="resnet_mlperf_tiny",
        resolution=32,
        alphas=(1.0,),
        layers=layers,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        source="arXiv:2106.07597; shape as mlcommons/tiny's resnet_v1_eembc",
    ),
)
