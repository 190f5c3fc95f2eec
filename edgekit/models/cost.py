"""Parameters and multiply-accumulates of a model, layer by layer, from its tree (no torch).

Enters a `ModelSpec` or a tree, leaves a `Cost`. Counted are trainable parameters (weights, biases,
BatchNorm's gamma and beta) and the MACs of convolutions and matrix products, as in the MobileNet
papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from edgekit.models.layers import Layer, Shape, walk
from edgekit.models.spec import ModelSpec


@dataclass(frozen=True)
class LayerCost:
    """One layer of the table.

    Attributes:
        name: dotted, as in the state dict.
        kind: the layer's class ("Conv", "BatchNorm", ...).
        input_shape, output_shape: of one sample, channels first.
        params: trainable parameters.
        macs: multiply-accumulates for one sample.
    """

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    params: int
    macs: int


@dataclass(frozen=True)
class Cost:
    """The table and its totals."""

    layers: tuple[LayerCost, ...]

    @property
    def params(self) -> int:
        """Trainable parameters of the model."""
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)


def cost(spec: ModelSpec) -> Cost:
    """The cost of a model, in execution order."""
    return tree_cost(spec.layers, spec.input_shape[1:])


def tree_cost(tree: Layer, input_shape: Shape) -> Cost:
    """The cost of a tree that reads samples of (channels, height, width)."""
    return Cost(
        tuple(
            LayerCost(
                name=name,
                kind=type(layer).__name__,
                input_shape=shape,
                output_shape=layer.output_shape(shape),
                params=sum(map(prod, layer.parameters(shape).values())),
                macs=layer.macs(shape),
            )
            for name, layer, shape in walk(tree, input_shape)
        )
    )
