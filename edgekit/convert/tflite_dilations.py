"""Dilated convolutions that go by way of the batch become one convolution.

Where the batch is free, TensorFlow writes a dilated convolution as SPACE_TO_BATCH_ND, CONV_2D (or
DEPTHWISE_CONV_2D), BATCH_TO_SPACE_ND; 1-D networks reshape right around the convolution. The shapes
in such a file are not those that TFLite Micro, which has no free ones, would need. A graph with
these ops as `Opaque` enters; one with a dilation in their place leaves, with equal results to the
bit. What does not match is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Op, Padding
from edgekit.graph.passes.pads import same_padding
from edgekit.graph.shapes import Shape, infer

BATCH_TO_SPACE, SPACE_TO_BATCH = 37, 38
_Pair = tuple[int, int]
_Readers = Mapping[str, Sequence[Node]]


@dataclass(frozen=True)
class _Chain:
    """From SPACE_TO_BATCH_ND to BATCH_TO_SPACE_ND.

    Attributes:
        nodes: three; five if it reshapes (N,L,C) to (N,1,L,C) and back around the convolution.
        dilation: of height and width.
        pads: what remains of the padding, rows and columns, after the cropping.
    """

    nodes: tuple[Node, ...]
    dilation: _Pair
    pads: tuple[_Pair, _Pair]

    @property
    def convolution(self) -> Node:
        return self.nodes[len(self.nodes) // 2]


def merge_dilations(graph: Graph) -> Graph:
    """The graph with one dilated convolution for each chain; the same graph if it has none."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    tensors, merged, gone = dict(graph.tensors), dict[int, list[Node]](), set[int]()
    for node in graph.nodes:
        chain = _chain(graph, readers, node) if _is(node, SPACE_TO_BATCH) else None
        if chain is not None:
            try:
                made = _Merger(tensors).nodes(chain)
            except EdgekitError:
                continue  # weights that do not fit; what is left of the chain is refused by name
            merged[id(chain.nodes[-1])] = made
            gone.update(map(id, chain.nodes[:-1]))
    if not merged:
        return graph
    kept = [node for node in graph.nodes if id(node) not in gone]
    nodes = tuple(new for node in kept for new in merged.get(id(node), [node]))
    return graph.with_nodes(nodes, tensors)


def _is(node: Node, code: int) -> bool:
    return isinstance(node.op, ops.Opaque) and node.op.builtin_code == code


def _chain(graph: Graph, readers: _Readers, first: Node) -> _Chain | None:
    """The chain that begins with a node; None if it is not one."""
    nodes = [first]
    while not _is(nodes[-1], BATCH_TO_SPACE) and len(nodes) < 5:
        output = nodes[-1].outputs[0]
        following = readers.get(output, ())
        if len(following) != 1 or following[0].inputs[0] != output or output in graph.outputs:
            return None
        nodes += following
    if not _is(nodes[-1], BATCH_TO_SPACE) or len(nodes) not in (3, 5):
        return None
    rank = 3 if len(nodes) == 5 else 4
    source = graph.tensors[first.inputs[0]]
    if len(source.shape) != rank or not _is_plain(nodes[len(nodes) // 2].op):
        return None
    if not _same_quantization(source, graph.tensors[first.outputs[0]]):
        return None
    if rank == 3 and not _are_reshapes_around(graph, nodes[1], nodes[3]):
        return None
    return _measured(graph, tuple(nodes), rank)


def _measured(graph: Graph, nodes: tuple[Node, ...], rank: int) -> _Chain | None:
    """The chain with its constants; None if they are none, or it crops more than it pads."""
    ends = (nodes[0], nodes[-1])
    into, back = (_numbers(graph, node, 1) for node in ends)
    padding, crops = (_numbers(graph, node, 2) for node in ends)
    if into is None or into != back or padding is None or crops is None:
        return None
    pads = [before - crop for before, crop in zip(padding, crops, strict=False)]
    fits = 1 <= len(into) <= rank - 2 and 2 * len(into) == len(padding) == len(crops)
    if not fits or min(pads) < 0 or min(into) < 1:
        return None
    missing = [1] * (2 - len(into))  # the height of a 1-D chain; else the width, if not cut
    pairs = list(zip(pads[::2], pads[1::2], strict=True))
    none = [(0, 0)] * len(missing)
    dilation, pairs = (
        ([*missing, *into], [*none, *pairs]) if rank == 3 else ([*into, *missing], [*pairs, *none])
    )
    return _Chain(nodes, (dilation[0], dilation[1]), (pairs[0], pairs[1]))


def _is_plain(op: Op) -> bool:
    """Whether it is a convolution that reads each window of what the batch was cut into."""
    return (
        isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
        and op.padding is Padding.VALID
        and op.stride == op.dilation == (1, 1)
    )


def _same_quantization(a: Tensor, b: Tensor) -> bool:
    def plain(quantization: Quantization | None) -> tuple[list[float], list[int]] | None:
        if quantization is None:
            return None
        return quantization.scales.tolist(), quantization.zero_points.tolist()

    return a.dtype is b.dtype and plain(a.quantization) == plain(b.quantization)


def _are_reshapes_around(graph: Graph, before: Node, after: Node) -> bool:
    """(N,L,C) becomes (N,1,L,C) before the convolution, and the same back behind it."""
    kinds = ops.Reshape | ops.ExpandDims | ops.Squeeze
    if not (isinstance(before.op, kinds) and isinstance(after.op, kinds)):
        return False
    ends = [(before.inputs[0], before.outputs[0]), (after.outputs[0], after.inputs[0])]
    shapes = [(graph.tensors[narrow].shape, graph.tensors[wide].shape) for narrow, wide in ends]
    return all(len(narrow) == 3 and wide == (narrow[0], 1, *narrow[1:]) for narrow, wide in shapes)


def _numbers(graph: Graph, node: Node, index: int) -> list[int] | None:
    """A small constant integer input: block sizes (n) or pairs (n, 2), flattened."""
    if len(node.inputs) != 3:
        return None
    data = graph.tensors[node.inputs[index]].data
    if data is None or data.ndim != index or data.size > 8 or data.dtype.kind != "i":
        return None
    return [int(value) for value in data.reshape(-1)]


class _Merger:
    """Makes what replaces a chain; new tensors go into the mapping it is given."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors

    def nodes(self, chain: _Chain) -> list[Node]:
        """Reshape, pad, convolve, reshape: what is needed of it.

        Raises:
            InputError: the weights do not fit the shapes.
        """
        first, last, convolution = chain.nodes[0], chain.nodes[-1], chain.convolution
        source = self._tensors[first.inputs[0]]
        made: list[Node] = []
        if len(chain.nodes) == 5:
            batch, *rest = source.shape
            name = chain.nodes[1].outputs[0]
            made.append(self._with_constant(ops.Reshape(), source, name, (batch, 1, *rest)))
            source = self._tensors[name]
        op, is_padded = self._convolution(chain, source.shape)
        if is_padded:
            pads = ((0, 0), *chain.pads, (0, 0))
            made.append(self._with_constant(ops.Pad(), source, first.outputs[0], pads))
            source = self._tensors[first.outputs[0]]
        inputs = (source.name, *convolution.inputs[1:])
        (shape,) = infer(op, [self._tensors[name] for name in inputs])
        output = self._tensors[last.outputs[0]]
        name = output.name if len(chain.nodes) == 3 else convolution.outputs[0]
        self._tensors[name] = replace(self._tensors[convolution.outputs[0]], name=name, shape=shape)
        made.append(Node(name, op, inputs, (name,)))
        if name != output.name:
            narrow = (shape[0], *shape[2:])
            convolved = self._tensors[name]
            made.append(self._with_constant(ops.Reshape(), convolved, output.name, narrow))
        return made

    def _convolution(self, chain: _Chain, shape: Shape) -> tuple[Op, bool]:
        """The dilated op, and whether a Pad must stand before it because SAME is not the same."""
        window = self._tensors[chain.convolution.inputs[1]].shape[1:3]
        sizes = zip(shape[1:3], window, chain.dilation, strict=False)
        is_same = chain.pads == tuple(same_padding(size, k, 1, d) for size, k, d in sizes)
        op = chain.convolution.op
        assert isinstance(op, ops.Conv2D | ops.DepthwiseConv2D)
        padding = Padding.SAME if is_same else Padding.VALID
        dilated = replace(op, dilation=chain.dilation, padding=padding)
        return dilated, not is_same and chain.pads != ((0, 0), (0, 0))

    def _with_constant(
        self, op: Op, source: Tensor, name: str, values: Sequence[int] | Sequence[_Pair]
    ) -> Node:
        """A node that moves `source` as a constant says: a new shape, or pads."""
        label = f"{name}/{op.tflite_name.lower()}"
        while label in self._tensors:
            label += "#"
        constant = Tensor.constant(label, np.array(values, np.int32))
        (shape,) = infer(op, [source, constant])
        self._tensors[constant.name] = constant
        self._tensors[name] = replace(source, name=name, shape=shape)
        return Node(name, op, (source.name, constant.name), (name,))
