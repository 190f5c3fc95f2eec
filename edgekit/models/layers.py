"""The vocabulary architectures are written in: frozen layer descriptions, free of torch.

Enters: nothing but the numbers of a published table. Leaves: a tree of layers whose names are the
state-dict names of the reference implementation. Each layer knows its output shape, its trainable
parameters and its multiply-accumulates, so that sizes and costs need no tensor library; `module`
turns the same tree into an `nn.Module`.

A container (see `blocks`) tells what it holds by `children`; everything that reads a tree uses
`walk`. Shapes are those of one sample: (channels, height, width), or (features,) once flattened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

Shape = tuple[int, ...]

# "same": TFLite's SAME, the odd row and column at the bottom and right.
# "torch": the same number of rows and columns on every side, as torchvision and timm pad.
PaddingMode = Literal["same", "torch"]
ActivationKind = Literal["relu", "relu6", "swish", "hard_swish", "sigmoid", "hard_sigmoid"]


@dataclass(frozen=True)
class Layer:
    """Base of all layers: keeps the shape, holds nothing, costs nothing."""

    def output_shape(self, shape: Shape) -> Shape:
        """Shape of the output for an input of `shape`."""
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Shapes of the trainable parameters by their state-dict suffix, as torch lays them out."""
        return {}

    def macs(self, shape: Shape) -> int:
        """Multiply-accumulates of convolutions and matrix products, for one sample."""
        return 0

    def fits(self, shape: Shape) -> bool:
        """Whether an input of `shape` is large enough to be worth the layer's stride."""
        return True

    def children(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """(name, layer, input shape) of what a container holds, in execution order."""
        return iter(())


@dataclass(frozen=True)
class Conv(Layer):
    """Square convolution; groups=None is depthwise. Without bias, as a BatchNorm mostly follows."""

    out: int
    kernel: int
    stride: int = 1
    groups: int | None = 1
    padding: PaddingMode = "same"
    bias: bool = False

    def groups_for(self, channels: int) -> int:
        """The number of groups for an input of so many channels."""
        return channels if self.groups is None else self.groups

    def output_shape(self, shape: Shape) -> Shape:
        """Both paddings keep ceil(size / stride) rows and columns (odd kernels)."""
        _, height, width = shape
        return self.out, -(-height // self.stride), -(-width // self.stride)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """OIHW and (O,)."""
        per_group = shape[0] // self.groups_for(shape[0])
        shapes: dict[str, Shape] = {"weight": (self.out, per_group, self.kernel, self.kernel)}
        return {**shapes, "bias": (self.out,)} if self.bias else shapes

    def macs(self, shape: Shape) -> int:
        """Every weight once for each output position; positions on padding count too."""
        _, height, width = self.output_shape(shape)
        return prod(self.parameters(shape)["weight"]) * height * width

    def fits(self, shape: Shape) -> bool:
        """A stride on a map that is smaller than the stride has nothing left to skip."""
        return min(shape[1:]) >= self.stride


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Batch normalization over channels; folded into a convolution before deployment."""

    epsilon: float = 1e-5

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """Gamma and beta. The running statistics are state but not trained, so not counted."""
        return {"weight": shape[:1], "bias": shape[:1]}


@dataclass(frozen=True)
class Activation(Layer):
    """An elementwise non-linearity; swish is x * sigmoid(x), the hard ones are made of ReLU6."""

    kind: ActivationKind


@dataclass(frozen=True)
class MaxPool(Layer):
    """Square max pooling, odd kernel; what lies on padding is not looked at."""

    kernel: int
    stride: int
    padding: PaddingMode = "same"

    def output_shape(self, shape: Shape) -> Shape:
        """ceil(size / stride) rows and columns, as a convolution."""
        channels, height, width = shape
        return channels, -(-height // self.stride), -(-width // self.stride)

    def fits(self, shape: Shape) -> bool:
        """As for a convolution."""
        return min(shape[1:]) >= self.stride


@dataclass(frozen=True)
class AveragePool(Layer):
    """Averages of disjoint squares of `kernel` pixels; an odd row or column is left out."""

    kernel: int

    def output_shape(self, shape: Shape) -> Shape:
        """floor(size / kernel) rows and columns."""
        channels, height, width = shape
        return channels, height // self.kernel, width // self.kernel

    def fits(self, shape: Shape) -> bool:
        """At least one whole square."""
        return min(shape[1:]) >= self.kernel


@dataclass(frozen=True)
class GlobalAveragePool(Layer):
    """(channels, height, width) -> (channels,), or (channels, 1, 1) with keep_dims."""

    keep_dims: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        """One value a channel."""
        return (shape[0], 1, 1) if self.keep_dims else shape[:1]


@dataclass(frozen=True)
class Flatten(Layer):
    """(channels, height, width) -> (features,)."""

    def output_shape(self, shape: Shape) -> Shape:
        """All elements in a row."""
        return (prod(shape),)


@dataclass(frozen=True)
class Linear(Layer):
    """Matrix product with bias."""

    out: int

    def output_shape(self, shape: Shape) -> Shape:
        """(out,)."""
        return (self.out,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """(out, in) and (out,)."""
        return {"weight": (self.out, shape[0]), "bias": (self.out,)}

    def macs(self, shape: Shape) -> int:
        """Every weight once."""
        return self.out * shape[0]


def walk(layer: Layer, shape: Shape, name: str = "") -> Iterator[tuple[str, Layer, Shape]]:
    """(dotted name, layer, input shape) of every layer that is not a container, in order."""
    inner = list(layer.children(shape))
    if not inner:
        yield name, layer, shape
    for child_name, child, child_shape in inner:
        yield from walk(child, child_shape, f"{name}.{child_name}" if name else child_name)
