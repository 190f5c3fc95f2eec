"""Which channels of a network can be left out without changing a bit of its outputs.

A graph and the bounds of its values enter; `Channels` leave. From the outputs backwards: a channel
is needed if something that matters reads it. A product does not read what its weights are 0 for,
nor a channel of one known value, which becomes part of the bias, unless padding beside it reads as
something else. Output channels of one known value are written from the bias alone and read nothing.

A channel that is not needed may have to stay: channelwise nodes have as many on both sides, the
network's own inputs and outputs keep their shapes, and kernels work on four channels at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Tensor
from edgekit.graph.passes.folding.intervals import Bounds
from edgekit.graph.passes.folding.links import Link, channel_count, is_product, links
from edgekit.graph.reference.windows import Axis

Mask = npt.NDArray[np.bool_]
# Convolutions read an image where it lies if its pixels are whole words, and depthwise kernels
# compute the channels of a word together.
ALIGNMENT = 4


@dataclass(frozen=True, eq=False)
class Channels:
    """Masks over the last axis of every activation and of the constants linked to one, by name.

    Attributes:
        needed: whose values matter.
        present: that the folded graph holds: all needed ones, and those that stay with them.
    """

    needed: Mapping[str, Mask]
    present: Mapping[str, Mask]

    @property
    def is_everything(self) -> bool:
        """Whether nothing can be left out."""
        return all(mask.all() for mask in self.present.values())


def channels_of(graph: Graph, bounds: Bounds) -> Channels:
    """The channels that are needed, and those that stay."""
    linked = [None if is_product(graph, node) else links(graph, node) for node in graph.nodes]
    needed = _needed(graph, bounds, linked)
    return Channels(needed, _present(graph, needed, linked))


def computed_rows(node: Node, bounds: Bounds, needed: Mask) -> Mask:
    """The output channels of a node that matter and are not one known value."""
    output = node.outputs[0]
    return needed & ~bounds[output].channels()[0] if output in bounds else needed


def read_columns(graph: Graph, node: Node, bounds: Bounds, rows: Mask) -> Mask:
    """The columns of a product's weights that cannot be folded into its bias: (inputs,).

    Args:
        rows: the output channels that are computed from the input.
    """
    x, weights = graph.inputs_of(node)[:2]
    assert weights.data is not None
    values = weights.data.reshape(weights.shape[0], -1, weights.shape[-1])[rows]
    used = (values != _zero_point(weights)).any(axis=(0, 1))
    if x.name not in bounds:
        return np.asarray(used)
    fixed, value = bounds[x.name].channels()
    if _laps(node, x, weights):
        fixed = fixed & (value == _zero_point(x))
    return np.asarray(used & ~np.resize(fixed, weights.shape[-1]))


def _zero_point(tensor: Tensor) -> int:
    assert tensor.quantization is not None  # `verify` sees to it
    return tensor.quantization.zero_point


def _laps(node: Node, x: Tensor, weights: Tensor) -> bool:
    """Whether a window reaches beyond the image."""
    op = node.op
    if not isinstance(op, ops.Conv2D):
        return False
    axes = (
        Axis.of(x.shape[i + 1], weights.shape[i + 1], op.stride[i], op.dilation[i], op.padding)
        for i in (0, 1)
    )
    return any(axis.padded > axis.size for axis in axes)


_Linked = list[tuple[Link, ...] | None]


def _needed(graph: Graph, bounds: Bounds, linked: _Linked) -> dict[str, Mask]:
    """Backwards once: no node needs what a later one writes."""
    needed = _no_channels(graph, linked)
    for name in graph.outputs:
        needed[name][:] = True
    for node, its_links in zip(reversed(graph.nodes), reversed(linked), strict=True):
        if is_product(graph, node):
            source = needed[node.inputs[0]]
            rows = computed_rows(node, bounds, needed[node.outputs[0]])
            source |= read_columns(graph, node, bounds, rows).reshape(-1, len(source)).any(axis=0)
        elif its_links is not None:
            mine = needed[node.outputs[0]]
            if isinstance(node.op, ops.DepthwiseConv2D):
                mine = computed_rows(node, bounds, mine)
            for link in its_links:
                needed[node.inputs[link.operand]][link.source[mine & (link.source >= 0)]] = True
            _need_whole(graph, node, needed, {link.operand for link in its_links})
        elif any(needed[name].any() for name in node.outputs):
            _need_whole(graph, node, needed, set())
    return needed


def _need_whole(graph: Graph, node: Node, masks: Mapping[str, Mask], but: set[int]) -> None:
    """Everything of the activations that a node reads as a whole."""
    for position, name in enumerate(node.inputs):
        if position not in but and name in masks:
            masks[name][:] = True


def _no_channels(graph: Graph, linked: _Linked) -> dict[str, Mask]:
    names = {name for name, tensor in graph.tensors.items() if not tensor.is_constant}
    for node, its_links in zip(graph.nodes, linked, strict=True):
        names.update(node.inputs[link.operand] for link in its_links or ())
    return {name: np.zeros(channel_count(graph.tensors[name]), np.bool_) for name in sorted(names)}


def _present(graph: Graph, needed: Mapping[str, Mask], linked: _Linked) -> dict[str, Mask]:
    """The least masks that hold what is needed, agree along all links, and are aligned."""
    present = {name: mask.copy() for name, mask in needed.items()}
    for name in graph.inputs:
        present[name][:] = True
    for node, its_links in zip(graph.nodes, linked, strict=True):
        if its_links is None and not is_product(graph, node):
            for name in (*node.inputs, *node.outputs):
                if name in present:
                    present[name][:] = True
    _agree(graph, present, linked)
    for mask in present.values():
        while mask.sum() < _aligned(int(mask.sum()), len(mask)):
            mask[np.argmin(mask)] = True
            _agree(graph, present, linked)
    return present


def _aligned(count: int, most: int) -> int:
    """A dead tensor keeps some channels too; and none becomes one, which would be broadcast."""
    return min(most, max(1, -(-count // ALIGNMENT)) * ALIGNMENT)


def _agree(graph: Graph, present: Mapping[str, Mask], linked: _Linked) -> None:
    """Let presence spread along the links until it goes no further."""
    before, after = -1, 0
    while before != after:
        before = after
        for node, its_links in zip(graph.nodes, linked, strict=True):
            mine = present[node.outputs[0]]
            for link in its_links or ():
                other, hangs = present[node.inputs[link.operand]], link.source >= 0
                other[link.source[hangs & mine]] = True
                mine[hangs] |= other[link.source[hangs]]
        after = sum(int(mask.sum()) for mask in present.values())
