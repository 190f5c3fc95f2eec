"""Random int8 graphs of every op, with several inputs and outputs, for the memory plan."""

from __future__ import annotations

import numpy as np
from support.graphs import GraphBuilder

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation, Op, Padding
from edgekit.graph.verify import verify

_ELEMENT_WISE: tuple[Op, ...] = (ops.Relu(), ops.Relu6(), ops.HardSwish(), ops.Logistic())
_PROBABILITY = GraphBuilder.int8(1 / 256, -128)


def random_graph(seed: int, nodes: int = 12) -> Graph:
    """One to three inputs (some float), about that many nodes, one to three outputs."""
    return _RandomGraph(seed).build(nodes)


class _RandomGraph:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.b = GraphBuilder(f"random_{seed}", seed)
        self.maps: list[str] = []  # int8 activations (1, H, W, C) that may be read again
        self.count = 0

    def build(self, nodes: int) -> Graph:
        for i in range(int(self.random.integers(1, 4))):
            self.maps.append(self.source(f"input_{i}"))
        while len(self.b.nodes) < nodes:
            made = getattr(self, f"make_{self.pick(_MAKERS)}")(self.recent())
            self.maps.extend(made)
        graph = self.b.build(*self.ends())
        verify(graph)
        return graph

    def pick(self, choices: list) -> object:
        return choices[int(self.random.integers(len(choices)))]

    def recent(self) -> str:
        """Mostly one of the latest, so that lives are short but overlap."""
        return self.maps[-1 - min(len(self.maps) - 1, int(self.random.geometric(0.6)) - 1)]

    def name(self) -> str:
        self.count += 1
        return f"constant_{self.count}"

    def source(self, name: str) -> str:
        b, side = self.b, int(self.pick([4, 6, 8, 12, 17]))
        shape = (1, side, side, int(self.pick([1, 2, 3, 8])))
        if self.random.random() < 0.3:
            x = b.input(name, shape)
            return b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.05, 1))
        return b.input(name, shape, b.int8(0.05, 1))

    def ends(self) -> list[str]:
        """All that nobody reads must go out; sometimes also what somebody does read."""
        read = {name for node in self.b.nodes for name in node.inputs}
        unread = [o for node in self.b.nodes for o in node.outputs if o not in read]
        unread += [name for name in self.b.inputs if name not in read]
        ends = [name for name in unread if name not in self.b.inputs]
        if self.random.random() < 0.4:
            x = ends.pop(0)
            ends.append(self.b.add(ops.Dequantize(), x, dtype=DType.FLOAT32))
        extra = [m for m in self.maps if m in read and m not in self.b.inputs]
        if extra and self.random.random() < 0.4:
            ends.append(str(self.pick(extra)))
        return ends

    def make_conv(self, x: str) -> list[str]:
        kernel = self.pick([(1, 1), (3, 3), (2, 3)])
        stride = self.pick([(1, 1), (2, 2)])
        channels = int(self.random.integers(1, 20))
        return [self.b.conv(x, channels, kernel, stride=stride, activation=Activation.RELU)]

    def make_depthwise(self, x: str) -> list[str]:
        multiplier = int(self.pick([1, 1, 2]))
        return [self.b.depthwise(x, self.pick([(3, 3), (5, 5)]), multiplier)]

    def make_element_wise(self, x: str) -> list[str]:
        op = self.pick(list(_ELEMENT_WISE))
        q = _PROBABILITY if isinstance(op, ops.Logistic) else self.b.tensors[x].quantization
        return [self.b.add(op, x, quantization=q)]

    def make_binary(self, x: str) -> list[str]:
        shape = self.b.tensors[x].shape
        same = [m for m in self.maps if self.b.tensors[m].shape == shape]
        op = self.pick([ops.Add(), ops.Sub(), ops.Mul(Activation.RELU)])
        return [self.b.add(op, x, str(self.pick(same)), quantization=self.b.int8(0.06, 2))]

    def make_gate(self, x: str) -> list[str]:
        b = self.b
        y = b.add(ops.Mean(keep_dims=True), x, b.ints(self.name(), [1, 2]))
        y = b.add(ops.Logistic(), y, quantization=_PROBABILITY)
        return [b.add(ops.Mul(), x, y, quantization=b.int8(0.05, 1))]

    def make_constant(self, x: str) -> list[str]:
        b, channels = self.b, self.b.tensors[x].shape[3]
        values = self.random.integers(-128, 128, channels).astype(np.int8)
        y = b.constant(self.name(), values, b.int8(0.04, -7))
        return [b.add(ops.Add(), x, y, quantization=b.int8(0.06, 2))]

    def make_concatenation(self, x: str) -> list[str]:
        b, like = self.b, self.b.tensors[x]
        y = b.conv(x, 3, (1, 1), quantization=like.quantization)
        return [y, b.add(ops.Concatenation(axis=3), x, y)]

    def make_pool(self, x: str) -> list[str]:
        if min(self.b.tensors[x].shape[1:3]) < 2:
            return []
        kind = self.pick([ops.MaxPool2D, ops.AveragePool2D])
        return [self.b.add(kind((2, 2), (2, 2), Padding.VALID), x)]

    def make_pad(self, x: str) -> list[str]:
        b = self.b
        if max(b.tensors[x].shape[1:3]) > 20:
            return []
        paddings = b.ints(self.name(), [[0, 0], [1, 0], [0, 1], [0, 0]])
        if self.random.random() < 0.5:
            return [b.add(ops.Pad(), x, paddings)]
        value = b.constant(self.name(), np.array([3], np.int8), b.tensors[x].quantization)
        return [b.add(ops.PadV2(), x, paddings, value)]

    def make_layout(self, x: str) -> list[str]:
        """Shapes change and come back, the elements stay where they are; or they move."""
        b, (_, height, width, channels) = self.b, self.b.tensors[x].shape
        if self.random.random() < 0.4:
            return [b.add(ops.Transpose(), x, b.ints(self.name(), [0, 2, 1, 3]))]
        y = b.add(ops.Reshape(), x, b.ints(self.name(), [1, height * width, channels, 1]))
        y = b.add(ops.Squeeze((3,)), y)
        return [b.add(ops.ExpandDims(), y, b.ints(self.name(), [2]))]

    def make_split(self, x: str) -> list[str]:
        b = self.b
        if b.tensors[x].shape[3] % 2:
            return []
        name = b.add(ops.Split(2), b.ints(self.name(), [3]), x)
        return [name, f"{name}:1"]

    def make_requantize(self, x: str) -> list[str]:
        q = self.b.int8(0.03, -4)
        return [self.b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=q)]

    def make_classifier(self, x: str) -> list[str]:
        b = self.b
        if b.tensors[x].elements > 2000:
            return []
        y = b.fully_connected(b.flatten(x, name=self.name()), int(self.random.integers(2, 40)))
        b.add(ops.Softmax(), y, quantization=_PROBABILITY)
        return []


_MAKERS = [name.removeprefix("make_") for name in vars(_RandomGraph) if name.startswith("make_")]
