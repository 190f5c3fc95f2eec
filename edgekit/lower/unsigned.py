"""Legacy uint8 networks: the same network with int8 activations.

A graph enters; a graph for `lowering` alone leaves, in which every 8-bit value q is q - 128, as is
its zero point, so that real values, and all roundings of differences to the zero point, stay what
they were. Only the network's ends keep their type: a step there flips the highest bit, in place.

Three things do not follow from the shifted numbers. Weights stay uint8, which tells the kernels'
constants to be made as TFLite makes them for uint8; they may have a zero point. An average of raw
values rounds ties by their sign, and unsigned sums have none. Joined tensors may differ in scale.
Source: tensorflow/lite/kernels/internal/reference/{conv,pooling,concatenation}.h.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import (
    TFLITE_NAMES,
    AveragePool2D,
    Concatenation,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Op,
    Quantize,
)
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

OFFSET = 128
_WEIGHTED = (Conv2D, DepthwiseConv2D, FullyConnected)


@dataclass(frozen=True)
class UnsignedAveragePool2D(AveragePool2D):
    """Averages values that were unsigned: ties round upwards."""

    @property
    def tflite_name(self) -> str:
        """The op's name in TFLite."""
        return TFLITE_NAMES[AveragePool2D]


@dataclass(frozen=True)
class Rescale(Op):
    """x -> x on the scale of the tensor it is joined to; part of a Concatenation.

    Attributes:
        table: (256,) the bits of the result, by the bits of the value.
    """

    table: bytes

    @property
    def tflite_name(self) -> str:
        """The op's name in TFLite."""
        return TFLITE_NAMES[Concatenation]


def with_signed_activations(graph: Graph) -> Graph:
    """The graph, its uint8 activations as int8; itself if it has none."""
    rewriting = _Rewriting(graph)
    return rewriting.graph() if rewriting.signed else graph


class _Rewriting:
    """Attributes: `signed`, the name under which each uint8 tensor is int8."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._tensors = dict(graph.tensors)
        self.signed: dict[str, str] = {}
        weights = {node.inputs[1] for node in graph.nodes if isinstance(node.op, _WEIGHTED)}
        for name, tensor in graph.tensors.items():
            if tensor.dtype is DType.UINT8 and name not in weights and not self._stays(name):
                own = f"{name} as int8" if name in (*graph.inputs, *graph.outputs) else name
                self.signed[name] = own
                self._tensors[own] = _signed(own, tensor)

    def _stays(self, name: str) -> bool:
        """Whether only Quantize nodes touch an end: their tables read and write either type."""
        ends = (*self._graph.inputs, *self._graph.outputs)
        producer = self._graph.producer(name)
        around = [*self._graph.consumers(name), *([producer] if producer else [])]
        return name in ends and all(
            isinstance(node.op, Quantize)
            and self._graph.tensors[node.inputs[0]].dtype is not DType.FLOAT32
            for node in around
        )

    def graph(self) -> Graph:
        inputs, outputs = self._graph.inputs, self._graph.outputs
        entered = [name for name in inputs if name in self.signed]
        left = [name for name in outputs if name in self.signed and name not in inputs]
        nodes = [_border(name, self.signed[name]) for name in entered]
        for node in self._graph.nodes:
            nodes += self._nodes(node)
        nodes += [_border(self.signed[name], name) for name in dict.fromkeys(left)]
        return self._graph.with_nodes(tuple(nodes), self._tensors)

    def _nodes(self, node: Node) -> Iterator[Node]:
        op, names = node.op, [self.signed.get(name, name) for name in node.inputs]
        if isinstance(op, AveragePool2D) and node.inputs[0] in self.signed:
            op = UnsignedAveragePool2D(op.filter, op.stride, op.padding, op.activation)
        if isinstance(op, Concatenation):
            for position, name in enumerate(node.inputs):
                if name in self.signed and (table := self._rescaling(node, name)):
                    names[position] = f"{names[position]} for {node.name} {position}"
                    yield from self._rescaled(node, name, names[position], table)
        outputs = tuple(self.signed.get(name, name) for name in node.outputs)
        yield Node(node.name, op, tuple(names), outputs)

    def _rescaling(self, node: Node, name: str) -> bytes:
        """The table that a Concatenation reads an input through; empty if there is none."""
        x, output = self._graph.tensors[name], self._graph.tensors[node.outputs[0]]
        every = np.arange(256, dtype=np.uint8)
        call = Call(node, (replace(x, shape=every.shape),), (output,), (every,))
        (table,) = evaluate(replace(call, node=replace(node, op=Concatenation(axis=0))))
        return b"" if np.array_equal(table, every) else (np.roll(table, OFFSET) ^ OFFSET).tobytes()

    def _rescaled(self, node: Node, name: str, target: str, table: bytes) -> Iterator[Node]:
        """The input as `target`: a constant is rescaled here, an activation by a node."""
        x = self._tensors[self.signed[name]]
        joined = self._tensors[self.signed[node.outputs[0]]].quantization
        data = x.data
        if data is not None:
            data = np.frombuffer(table, np.int8)[np.asarray(data).view(np.uint8)]
        self._tensors[target] = Tensor(target, x.shape, DType.INT8, joined, data)
        if data is None:
            yield Node(node.name, Rescale(table), (x.name,), (target,))


def _signed(name: str, tensor: Tensor) -> Tensor:
    data, quantization = tensor.data, tensor.quantization
    if data is not None:
        data = (np.asarray(data, np.uint8) ^ OFFSET).view(np.int8)
    if quantization is not None:
        zero_points = quantization.zero_points - OFFSET
        quantization = Quantization(quantization.scales, zero_points, quantization.axis)
    return Tensor(name, tensor.shape, DType.INT8, quantization, data)


def _border(source: str, target: str) -> Node:
    """Between the same scale, a Quantize only moves the zero point."""
    return Node(f"{source} at the border", Quantize(), (source,), (target,))
