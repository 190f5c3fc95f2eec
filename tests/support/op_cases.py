"""Graphs of a single op with random parameters, and the comparison with the oracle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.convert.tflite_writer import write
from edgekit.emulate import litert, tflm
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Activation, Op

Values = npt.NDArray[Any]
ACTIVATIONS = tuple(Activation)


def rng_of(*seed: int | str) -> np.random.Generator:
    """A generator of its own for each test case."""
    numbers = [part if isinstance(part, int) else sum(part.encode()) for part in seed]
    return np.random.default_rng(numbers)


def activation(
    name: str, shape: tuple[int, ...], scale: float, zero_point: int, dtype: DType = DType.INT8
) -> Tensor:
    """A quantized activation."""
    return Tensor(name, shape, dtype, Quantization.per_tensor(scale, zero_point))


def real(name: str, shape: tuple[int, ...]) -> Tensor:
    """A float activation."""
    return Tensor(name, shape, DType.FLOAT32)


def ints(name: str, values: Any) -> Tensor:
    """An int32 constant: axes, shapes, paddings."""
    return Tensor.constant(name, np.array(values, np.int32))


def one_op(op: Op, inputs: list[Tensor], *outputs: Tensor) -> Graph:
    """A graph of one node; its inputs are the tensors that are not constant."""
    tensors = {tensor.name: tensor for tensor in (*inputs, *outputs)}
    names = tuple(tensor.name for tensor in inputs)
    node = Node("node", op, names, tuple(tensor.name for tensor in outputs))
    fed = tuple(dict.fromkeys(t.name for t in inputs if not t.is_constant))
    return Graph("one op", tensors, (node,), fed, node.outputs)


def random_values(rng: np.random.Generator, tensor: Tensor) -> Values:
    """Integers over the whole range of the type, ends and zero point often; or normal floats."""
    if tensor.dtype is DType.FLOAT32:
        return (rng.standard_normal(tensor.shape) * 4).astype(np.float32)
    limits = np.iinfo(tensor.dtype.numpy)
    values = rng.integers(limits.min, limits.max + 1, tensor.shape)
    edges = [limits.min, limits.max]
    if tensor.quantization:
        edges.append(tensor.quantization.zero_point)
    mask = rng.random(tensor.shape) < 0.2
    return np.where(mask, rng.choice(edges, tensor.shape), values).astype(tensor.dtype.numpy)


def assert_equals_tflm(graph: Graph, rng: np.random.Generator) -> tuple[Values, ...]:
    """Random inputs give the same bits here and in the tflite-micro wheel."""
    inputs = [random_values(rng, graph.tensors[name]) for name in graph.inputs]
    expected = tflm.run(write(graph), inputs)
    return _assert_equal(run(graph, inputs), expected)


def assert_equals_litert(graph: Graph, rng: np.random.Generator) -> tuple[Values, ...]:
    """The same with LiteRT's reference kernels, the oracle for uint8."""
    inputs = [random_values(rng, graph.tensors[name]) for name in graph.inputs]
    expected = litert.run(write(graph), inputs, litert.Kernels.REFERENCE)
    return _assert_equal(run(graph, inputs), expected)


def _assert_equal(actual: tuple[Values, ...], expected: tuple[Values, ...]) -> tuple[Values, ...]:
    assert len(actual) == len(expected)
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.dtype == theirs.dtype
        if ours.dtype == np.float32:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(ours, theirs)
    return actual


@dataclass(frozen=True)
class Scales:
    """Scales and zero points of a layer: input, weights (one or one a channel), output."""

    input: float
    input_zero_point: int
    weights: npt.NDArray[np.float32]
    output: float
    output_zero_point: int

    def bias(self, rng: np.random.Generator, count: int, magnitude: int) -> Tensor:
        """An int32 bias whose scale is the product of input and weight scales."""
        scales = (np.float32(self.input) * self.weights).astype(np.float32)
        quantization = Quantization(scales, np.zeros(len(scales), np.int64))
        data = rng.integers(-magnitude, magnitude + 1, count).astype(np.int32)
        return Tensor.constant("bias", data, quantization)


def random_scales(rng: np.random.Generator, channels: int, terms: int, per_channel: bool) -> Scales:
    """Scales under which sums of `terms` products use the output's range, or leave it far behind.

    The requantization factor lies between 2^-20 and 2 and may differ a thousandfold between
    channels.
    """
    input_scale = float(np.exp(rng.uniform(-6, 0)))
    count = channels if per_channel else 1
    spread = rng.choice([0.1, 1.0, 3.5])
    factors = np.exp(rng.normal(0, spread, count)) * 2 / np.sqrt(terms) / 100
    factors *= 2.0 ** int(rng.integers(-3, 3))
    factors = np.clip(factors, 2.0**-20, 2.0)
    output_scale = float(np.exp(rng.uniform(-6, 0)))
    weights = (factors * output_scale / input_scale).astype(np.float32)
    zero_points = rng.choice([-128, -127, -1, 0, 3, 100, 127], 2)
    return Scales(
        float(np.float32(input_scale)),
        int(zero_points[0]),
        weights,
        float(np.float32(output_scale)),
        int(zero_points[1]),
    )
