"""Views: which axes of an ONNX tensor stand where in the graph's tensor.

ONNX networks are NCHW, the graph is NHWC. Instead of transposing back and forth, the reader keeps
for every ONNX tensor a `View` of a graph tensor. Transposes, flattens and other reshapes then only
change the view; an op that needs a certain order asks for it, and what cancels is never a node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]
Values = npt.NDArray[np.generic]


@dataclass(frozen=True)
class View:
    """An ONNX tensor as a reading of a graph tensor.

    Attributes:
        tensor: the graph tensor's name.
        shape: the graph tensor's shape.
        axes: for each ONNX axis the graph axes it is made of, major first. Every graph axis larger
            than 1 appears once; an ONNX axis of size 1 may be empty. NCHW over NHWC is
            ((0,), (3,), (1,), (2,)); its flattening is ((0,), (3, 1, 2)).
    """

    tensor: str
    shape: Shape
    axes: tuple[tuple[int, ...], ...]

    @property
    def dims(self) -> Shape:
        """The ONNX tensor's shape."""
        return tuple(prod(self.shape[axis] for axis in group) for group in self.axes)

    def factors(self, axis: int) -> tuple[int, ...]:
        """The graph axes larger than 1 that an ONNX axis is made of, major first."""
        return tuple(axis for axis in self.axes[axis] if self.shape[axis] > 1)

    def reading(self, order: Sequence[int] | None = None) -> tuple[int, ...]:
        """The graph axes larger than 1, as met when the ONNX axes are read in this order."""
        chosen = range(len(self.axes)) if order is None else order
        return tuple(axis for i in chosen for axis in self.factors(i))

    def graph_axis(self, axis: int) -> int | None:
        """The one graph axis that an ONNX axis is; None if it is none or several."""
        found = self.factors(axis) or self.axes[axis][:1]
        return found[0] if len(found) == 1 else None

    def transposed(self, permutation: Sequence[int]) -> View:
        """The view after an ONNX Transpose."""
        return replace(self, axes=tuple(self.axes[axis] for axis in permutation))

    def without(self, dropped: Sequence[int]) -> View:
        """The view without some ONNX axes of size 1."""
        return replace(self, axes=tuple(g for i, g in enumerate(self.axes) if i not in dropped))

    def widened(self, rank: int) -> View:
        """The view with ONNX axes of size 1 in front, up to the rank."""
        return replace(self, axes=((),) * (rank - len(self.axes)) + self.axes)

    def of(self, tensor: str, shape: Shape) -> View:
        """The same axes over another graph tensor."""
        return View(tensor, shape, self.axes)

    def spread(self, values: Values) -> Values:
        """A constant that broadcasts against the ONNX tensor, laid out like the graph tensor.

        Args:
            values: of at most the ONNX tensor's rank; each dimension is 1 or the tensor's.

        Returns:
            The values with one dimension for each graph axis, without leading ones.
        """
        wide = values.reshape((1,) * (len(self.axes) - values.ndim) + values.shape)
        split: list[int] = []
        position: dict[int, int] = {}
        for i in range(len(self.axes)):
            for axis in self.factors(i):
                position[axis] = len(split)
                split.append(self.shape[axis] if wide.shape[i] > 1 else 1)
        graph_axes = sorted(position)
        ordered = wide.reshape(split).transpose([position[axis] for axis in graph_axes])
        sizes = dict(zip(graph_axes, ordered.shape, strict=True))
        full = [sizes.get(axis, 1) for axis in range(len(self.shape))]
        while len(full) > 1 and full[0] == 1:
            full.pop(0)
        return np.ascontiguousarray(ordered.reshape(full or [1]))

    def graph_positions(self) -> npt.NDArray[np.int64]:
        """For each element in the graph's order, its position in the ONNX tensor's order."""
        reading = self.reading()
        positions = np.arange(prod(self.shape)).reshape([self.shape[axis] for axis in reading])
        return positions.transpose(np.argsort(reading)).reshape(-1)

    def regrouped(self, dims: Shape) -> View | None:
        """The view after an ONNX Reshape to `dims`, if whole graph axes can be regrouped so."""
        left = list(self.reading())
        groups: list[tuple[int, ...]] = []
        for size in dims:
            group: list[int] = []
            taken = 1
            while taken < size and left:
                group.append(left.pop(0))
                taken *= self.shape[group[-1]]
            if taken != size:
                return None
            groups.append(tuple(group))
        return None if left else replace(self, axes=tuple(groups))

    def split_shape(self, dims: Shape) -> Shape | None:
        """The graph shape with axes split so that `regrouped(dims)` works; None if none does."""
        parts: dict[int, list[int]] = {}
        wanted = [size for size in dims if size > 1]
        for axis in self.reading():
            rest = self.shape[axis]
            while rest > 1 and wanted:
                step = min(rest, wanted[0])
                if rest % step or wanted[0] % step:
                    return None
                parts.setdefault(axis, []).append(step)
                rest //= step
                wanted[0] //= step
                if wanted[0] == 1:
                    wanted.pop(0)
        return tuple(
            size for axis, whole in enumerate(self.shape) for size in parts.get(axis, [whole])
        )


def over_split(view: View, split: Shape) -> tuple[tuple[int, ...], ...]:
    """A view's axes after its graph tensor was reshaped to `split`, a refinement of its shape."""
    pieces: list[tuple[int, ...]] = []
    position = 0
    for size in view.shape:
        start, product = position, 1
        while position == start or product < size:
            product *= split[position]
            position += 1
        pieces.append(tuple(range(start, position)))
    return tuple(tuple(p for axis in group for p in pieces[axis]) for group in view.axes)


def nhwc_order(rank: int) -> tuple[int, ...]:
    """The ONNX axes of NC... in channels-last order."""
    return (0, *range(2, rank), 1)


def channels_last(tensor: str, shape: Shape, rank: int) -> View:
    """The NCHW (rank 4) or NCL (rank 3) view of an (N,H,W,C) or (N,1,L,C) graph tensor."""
    axes = ((0,), (3,), (1,), (2,)) if rank == 4 else ((0,), (3,), (2,))
    return View(tensor, shape, axes)
