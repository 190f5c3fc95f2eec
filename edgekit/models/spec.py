"""What an architecture is, and what one chosen model is (no torch).

An `Architecture` is a published design, a row of a family's file; a `ModelSpec` is that design at
one width, resolution and number of classes, made by `registry.resolve` and carried along the line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgekit.models.layers import Layer, PaddingMode

INPUT_CHANNELS = 3
# Of ImageNet's pixels, as torchvision's and timm's checkpoints expect, in pixel units.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Architecture:
    """A published design.

    Attributes:
        name: what the user types.
        family: the designs that share a paper.
        resolution: of the input at rho = 1, in pixels.
        alphas: the published width multipliers; any other may be asked for.
        layers: (alpha, classes, padding) -> the tree; raises UsageError where alpha leaves a layer
            without channels.
        mean, std: the published preprocessing per channel, in pixel units (0..255).
        source: the paper, and the implementation the names follow.
    """

    name: str
    family: str
    resolution: int
    alphas: tuple[float, ...]
    layers: Callable[[float, int, PaddingMode], Layer]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    source: str


@dataclass(frozen=True)
class ModelSpec:
    """One model: an architecture at one width, resolution and number of classes.

    Attributes:
        arch, family: names, see `Architecture`.
        alpha, rho: width and resolution multipliers.
        resolution: height and width of the input, in pixels.
        classes: outputs of the classifier.
        padding: "same" as TFLite pads, "torch" as torchvision's and timm's checkpoints expect.
        mean, std: the published preprocessing, in pixel units.
        layers: the tree; it follows from the other fields, so a changed spec comes from
            `registry.resolve`, never from `dataclasses.replace`.
    """

    arch: str
    family: str
    alpha: float
    rho: float
    resolution: int
    classes: int
    padding: PaddingMode
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    layers: Layer = field(repr=False, compare=False)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(1, channels, height, width)."""
        return 1, INPUT_CHANNELS, self.resolution, self.resolution

    def to_json(self) -> dict[str, Any]:
        """Plain values, enough for `registry.resolve` to make the spec again."""
        return {
            "arch": self.arch,
            "alpha": self.alpha,
            "rho": self.rho,
            "resolution": self.resolution,
            "classes": self.classes,
            "padding": self.padding,
        }
