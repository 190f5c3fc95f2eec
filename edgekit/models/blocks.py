"""Containers: how an architecture's layers are joined (no torch).

Enters: named layers. Leaves: a layer whose parts keep their own names, so that the state-dict names
of a block are those of the reference implementation however it is joined: a residual block
`layer1.0` holds `layer1.0.conv1` and `layer1.0.downsample.0` side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from edgekit.models.layers import Layer, Shape

Named = tuple[tuple[str, Layer], ...]


def numbered(parts: Iterable[Layer]) -> Sequence:
    """Layers named "0", "1", ... as torch's Sequential names them."""
    return Sequence(tuple((str(index), part) for index, part in enumerate(parts)))


def shape_after(layers: Named, shape: Shape) -> Shape:
    """What the layers, one after the other, leave of an input of `shape`."""
    for _, layer in layers:
        shape = layer.output_shape(shape)
    return shape


def _in_order(layers: Named, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
    """Each layer with the shape its predecessor leaves."""
    for name, layer in layers:
        yield name, layer, shape
        shape = layer.output_shape(shape)


@dataclass(frozen=True)
class Sequence(Layer):
    """Named layers one after the other."""

    layers: Named

    def output_shape(self, shape: Shape) -> Shape:
        """That of the last layer."""
        return shape_after(self.layers, shape)

    def children(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """The layers."""
        return _in_order(self.layers, shape)


@dataclass(frozen=True)
class Residual(Layer):
    """after(body(before(x)) + shortcut), He et al. 2015, arXiv:1512.03385.

    Attributes:
        body: what is added to the shortcut.
        shortcut: layers on the way past the body, which read what `before` leaves; without them x
            itself goes past (the pre-activation block of He et al. 2016, arXiv:1603.05027).
        before, after: around both ways; mostly empty, or an activation after the sum.
    """

    body: Named
    shortcut: Named = ()
    before: Named = ()
    after: Named = ()

    def output_shape(self, shape: Shape) -> Shape:
        """That of the body, which the shortcut's equals."""
        return shape_after((*self.before, *self.body, *self.after), shape)

    def children(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """Before, the body, the shortcut, after: torchvision's order."""
        yield from _in_order(self.before, shape)
        started = shape_after(self.before, shape)
        yield from _in_order(self.body, started)
        yield from _in_order(self.shortcut, started)
        yield from _in_order(self.after, shape_after(self.body, started))


@dataclass(frozen=True)
class Gate(Layer):
    """x * gate(x), one factor a channel: squeeze and excitation (Hu et al. 2018, arXiv:1709.01507).

    Attributes:
        layers: a global average pool that keeps its dimensions, two 1x1 convolutions, activations.
    """

    layers: Named

    def children(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """The layers that compute the factors."""
        return _in_order(self.layers, shape)


@dataclass(frozen=True)
class Joined(Layer):
    """x and body(x) side by side: a dense layer (Huang et al. 2017, arXiv:1608.06993)."""

    body: Named

    def output_shape(self, shape: Shape) -> Shape:
        """The channels of both."""
        return shape[0] + shape_after(self.body, shape)[0], *shape[1:]

    def children(self, shape: Shape) -> Iterator[tuple[str, Layer, Shape]]:
        """The body."""
        return _in_order(self.body, shape)
