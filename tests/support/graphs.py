"""Small graphs for tests: a builder that infers shapes, and one graph for each op.

    b = GraphBuilder(seed=1)
    x = b.input("x", (1, 8, 8, 3), b.int8(0.02, -3))
    y = b.conv(x, 4, (3, 3), stride=(2, 2), activation=Activation.RELU)
    graph = b.build(b.add(ops.Softmax(), b.flatten(y), quantization=b.int8(1 / 256, -128)))

Leave the quantization out for float graphs; with it, everything made from the input is int8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Array, DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Activation, Op, Padding
from edgekit.graph.shapes import Shape, infer


class GraphBuilder:
    """Collects tensors and nodes; weights are random from a seed."""

    def __init__(self, name: str = "net", seed: int = 0) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []

    @staticmethod
    def int8(scale: float, zero_point: int = 0) -> Quantization:
        return Quantization.per_tensor(scale, zero_point)

    def input(
        self,
        name: str,
        shape: Shape,
        quantization: Quantization | None = None,
        dtype: DType | None = None,
    ) -> str:
        """A graph input: float32, or int8 where a quantization is given."""
        kind = dtype or (DType.INT8 if quantization else DType.FLOAT32)
        self.tensors[name] = Tensor(name, shape, kind, quantization)
        self.inputs.append(name)
        return name

    def constant(self, name: str, data: Any, quantization: Quantization | None = None) -> str:
        self.tensors[name] = Tensor.constant(name, np.asarray(data), quantization)
        return name

    def ints(self, name: str, values: Any) -> str:
        """An int32 constant: axes, paddings, shapes."""
        return self.constant(name, np.asarray(values, np.int32))

    def add(
        self,
        op: Op,
        *inputs: str,
        name: str = "",
        quantization: Quantization | None = None,
        dtype: DType | None = None,
        shape: Shape | None = None,
    ) -> str:
        """A node; returns its (first) output. Type and quantization default to the data input's."""
        data = self.tensors[inputs[1 if isinstance(op, ops.Split) else 0]]
        shapes = (shape,) if shape is not None else infer(op, [self.tensors[i] for i in inputs])
        name = name or f"{op.tflite_name.lower()}_{len(self.nodes)}"
        names = tuple(name if i == 0 else f"{name}:{i}" for i in range(len(shapes)))
        kind = dtype or data.dtype
        parameters = None if kind is DType.FLOAT32 else quantization or data.quantization
        for output, its_shape in zip(names, shapes, strict=True):
            self.tensors[output] = Tensor(output, its_shape, kind, parameters)
        self.nodes.append(Node(name, op, inputs, names))
        return name

    def conv(
        self,
        x: str,
        channels: int,
        kernel: tuple[int, int],
        groups: int = 1,
        name: str = "",
        quantization: Quantization | None = None,
        **parameters: Any,
    ) -> str:
        depth = self.tensors[x].shape[3] // groups
        return self._weighted(
            ops.Conv2D(**parameters), x, (channels, *kernel, depth), 0, name, quantization
        )

    def depthwise(
        self,
        x: str,
        kernel: tuple[int, int],
        multiplier: int = 1,
        name: str = "",
        quantization: Quantization | None = None,
        **parameters: Any,
    ) -> str:
        channels = self.tensors[x].shape[3] * multiplier
        return self._weighted(
            ops.DepthwiseConv2D(**parameters), x, (1, *kernel, channels), 3, name, quantization
        )

    def fully_connected(
        self,
        x: str,
        features: int,
        name: str = "",
        quantization: Quantization | None = None,
        **parameters: Any,
    ) -> str:
        tensor = self.tensors[x]
        depth = tensor.shape[-1] if parameters.get("keep_dims") else tensor.elements
        op = ops.FullyConnected(**parameters)
        return self._weighted(op, x, (features, depth), None, name, quantization)

    def flatten(self, x: str, name: str = "") -> str:
        shape = (self.tensors[x].shape[0], self.tensors[x].elements // self.tensors[x].shape[0])
        target = self.ints(f"{x}/flat_shape", shape)
        return self.add(ops.Reshape(), x, target, name=name)

    def build(self, *outputs: str) -> Graph:
        """The graph with these outputs (by default, the last node's)."""
        border = outputs or self.nodes[-1].outputs
        return Graph(self.name, self.tensors, tuple(self.nodes), tuple(self.inputs), border)

    def _weighted(
        self,
        op: Op,
        x: str,
        shape: Shape,
        axis: int | None,
        name: str,
        output: Quantization | None,
    ) -> str:
        """Random weights (per channel along `axis`) and bias, scaled to fill the output's range."""
        name = name or f"{op.tflite_name.lower()}_{len(self.nodes)}"
        source = self.tensors[x].quantization
        channels = shape[0 if axis is None else axis]
        fan_in = int(np.prod(shape)) // channels
        weights, bias = f"{name}/weights", f"{name}/bias"
        if source is None:
            self.constant(weights, self.random.normal(0, fan_in**-0.5, shape).astype(np.float32))
            self.constant(bias, self.random.normal(0, 0.1, channels).astype(np.float32))
            return self.add(op, x, weights, bias, name=name)
        count = 1 if axis is None else channels
        scales = self.random.uniform(0.002, 0.006, count).astype(np.float32)
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        of_weights = Quantization(scales, np.zeros(count, np.int64), axis or 0)
        of_bias = Quantization(scales * np.float32(source.scale), np.zeros(count, np.int64))
        self.constant(weights, values, of_weights)
        spread = int(2000 * fan_in**0.5)
        self.constant(bias, self.random.integers(-spread, spread, channels, np.int32), of_bias)
        scale = 90 * fan_in**0.5 * source.scale * float(scales.mean())
        output = output or self.int8(scale, int(self.random.integers(-20, 20)))
        return self.add(op, x, weights, bias, name=name, quantization=output)


def convnet(quantized: bool = True, seed: int = 0) -> Graph:
    """A small MobileNet-like classifier: (1, 16, 16, 3) -> (1, 5) probabilities, 9 nodes."""
    b = GraphBuilder("convnet", seed)
    x = b.input("image", (1, 16, 16, 3), b.int8(1 / 128, -1) if quantized else None)
    x = b.conv(x, 8, (3, 3), stride=(2, 2), activation=Activation.RELU6, name="stem")
    y = b.depthwise(x, (3, 3), activation=Activation.RELU, name="block/depthwise")
    y = b.conv(y, 8, (1, 1), name="block/pointwise")
    q = b.int8(0.05, 4)
    y = b.add(ops.Add(), x, y, name="block/add", quantization=q)
    y = b.add(ops.Pad(), y, b.ints("paddings", [[0, 0], [0, 1], [0, 1], [0, 0]]), name="pad")
    y = b.conv(y, 12, (3, 3), stride=(2, 2), padding=Padding.VALID, name="down")
    y = b.add(ops.AveragePool2D((4, 4), (4, 4)), y, name="pool")
    y = b.fully_connected(b.flatten(y), 5, name="classifier")
    q = b.int8(1 / 256, -128)
    return b.build(b.add(ops.Softmax(), y, name="probabilities", quantization=q))


def assert_same_graph(a: Graph, b: Graph) -> None:
    """The same tensors, to the bit, and the same nodes in the same order; node names may differ."""
    assert (a.name, a.inputs, a.outputs) == (b.name, b.inputs, b.outputs)
    assert [(n.op, n.inputs, n.outputs) for n in a.nodes] == [
        (n.op, n.inputs, n.outputs) for n in b.nodes
    ]
    assert a.tensors.keys() == b.tensors.keys()
    for name, tensor in a.tensors.items():
        other = b.tensors[name]
        assert (tensor.shape, tensor.dtype) == (other.shape, other.dtype), name
        np.testing.assert_equal(_plain(tensor), _plain(other), name)


def _plain(tensor: Tensor) -> tuple[Any, ...]:
    q = tensor.quantization
    parameters = q and (q.scales, q.zero_points, q.axis if q.is_per_channel else 0)
    return tensor.data, parameters


def single_op_graphs(quantized: bool) -> dict[str, Graph]:
    """For every op, and every way of using it that matters, a graph with just that node."""
    return {name: _single(name, make, quantized) for name, make in _SINGLE.items()}


def _single(name: str, make: Callable[[GraphBuilder, str], str], quantized: bool) -> Graph:
    b = GraphBuilder(name, seed=len(name))
    quantization = b.int8(0.03, 5) if quantized else None
    x = b.input("x", (1, 6, 6, 4), quantization)
    make(b, x)
    return b.build()


def _binary(op: Op, other: Shape | None) -> Callable[[GraphBuilder, str], str]:
    """With a second input of that shape; None: a constant, one value a channel."""

    def make(b: GraphBuilder, x: str) -> str:
        quantization = b.int8(0.04, -7) if b.tensors[x].quantization else None
        if other is not None:
            y = b.input("y", other, quantization)
        else:
            y = b.constant("y", _values(b, (4,), quantization is not None), quantization)
        return b.add(op, x, y, quantization=b.int8(0.06, 2))

    return make


def _values(b: GraphBuilder, shape: Shape, quantized: bool) -> Array:
    if quantized:
        return b.random.integers(-128, 128, shape).astype(np.int8)
    return b.random.normal(0, 1, shape).astype(np.float32)


def _pad_v2(b: GraphBuilder, x: str) -> str:
    quantization = b.tensors[x].quantization
    paddings = b.ints("paddings", [[0, 0], [1, 2], [0, 3], [0, 0]])
    value = b.constant("value", _values(b, (1,), quantization is not None), quantization)
    return b.add(ops.PadV2(), x, paddings, value)


def _concatenation(b: GraphBuilder, x: str) -> str:
    y = b.input("y", (1, 6, 6, 3), b.tensors[x].quantization)
    return b.add(ops.Concatenation(axis=-1), x, y, x)


def _split(b: GraphBuilder, x: str) -> str:
    return b.add(ops.Split(2), b.ints("axis", [3]), x)


def _no_bias(b: GraphBuilder, x: str) -> str:
    name = b.fully_connected(x, 3)
    b.nodes[-1] = Node(name, b.nodes[-1].op, b.nodes[-1].inputs[:2], (name,))
    del b.tensors[f"{name}/bias"]
    return name


def _quantize(b: GraphBuilder, x: str) -> str:
    return b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.05, 1))


def _dequantize(b: GraphBuilder, x: str) -> str:
    if b.tensors[x].dtype is DType.FLOAT32:
        x = _quantize(b, x)
    return b.add(ops.Dequantize(), x, dtype=DType.FLOAT32)


_PROBABILITY = GraphBuilder.int8(1 / 256, -128)
_OTHER = GraphBuilder.int8(0.02, -9)
_PADDINGS = ((0, 0), (1, 2), (2, 1), (0, 0))

_SINGLE: dict[str, Callable[[GraphBuilder, str], str]] = {
    "conv": lambda b, x: b.conv(x, 5, (3, 2), stride=(1, 2), activation=Activation.RELU6),
    "conv_valid_dilated": lambda b, x: b.conv(x, 3, (2, 2), dilation=(2, 3), padding=Padding.VALID),
    "conv_grouped": lambda b, x: b.conv(x, 6, (3, 3), groups=2),
    "depthwise": lambda b, x: b.depthwise(x, (3, 3), stride=(2, 2), activation=Activation.RELU),
    "depthwise_multiplier": lambda b, x: b.depthwise(x, (3, 3), multiplier=2),
    "depthwise_dilated": lambda b, x: b.depthwise(x, (3, 2), dilation=(2, 1)),
    "fully_connected": lambda b, x: b.fully_connected(x, 7, activation=Activation.RELU),
    "fully_connected_keep_dims": lambda b, x: b.fully_connected(x, 7, keep_dims=True),
    "fully_connected_no_bias": _no_bias,
    "average_pool": lambda b, x: b.add(ops.AveragePool2D((3, 2), (2, 1), Padding.SAME), x),
    "max_pool": lambda b, x: b.add(ops.MaxPool2D((2, 3), (1, 2), activation=Activation.RELU), x),
    "mean": lambda b, x: b.add(ops.Mean(), x, b.ints("axes", [1, 2]), quantization=_OTHER),
    "mean_keep_dims": lambda b, x: b.add(ops.Mean(keep_dims=True), x, b.ints("axes", [1, 2])),
    "add": _binary(ops.Add(Activation.RELU), (1, 6, 6, 4)),
    "add_broadcast": _binary(ops.Add(), (1, 1, 1, 4)),
    "sub": _binary(ops.Sub(), (1, 6, 6, 4)),
    "mul": _binary(ops.Mul(Activation.RELU6), (1, 6, 6, 4)),
    "mul_constant": _binary(ops.Mul(), None),
    "concatenation": _concatenation,
    "pad": lambda b, x: b.add(ops.Pad(), x, b.ints("paddings", _PADDINGS)),
    "pad_v2": _pad_v2,
    "softmax": lambda b, x: b.add(ops.Softmax(2.0), b.flatten(x), quantization=_PROBABILITY),
    "logistic": lambda b, x: b.add(ops.Logistic(), x, quantization=_PROBABILITY),
    "hard_swish": lambda b, x: b.add(ops.HardSwish(), x, quantization=_OTHER),
    "relu": lambda b, x: b.add(ops.Relu(), x, quantization=_OTHER),
    "relu6": lambda b, x: b.add(ops.Relu6(), x),
    "reshape": lambda b, x: b.add(ops.Reshape(), x, b.ints("shape", [1, -1, 12])),
    "reshape_no_shape": lambda b, x: b.add(ops.Reshape(), x, shape=(1, 36, 4)),
    "squeeze": lambda b, x: b.add(ops.Squeeze((0,)), x),
    "expand_dims": lambda b, x: b.add(ops.ExpandDims(), x, b.ints("axis", [-1])),
    "transpose": lambda b, x: b.add(ops.Transpose(), x, b.ints("order", [0, 3, 1, 2])),
    "split": _split,
    "quantize": _quantize,
    "dequantize": _dequantize,
}
