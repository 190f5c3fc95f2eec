"""Random layers: one node with random shapes, parameters, scales and zero points."""

from __future__ import annotations

import numpy as np
from support.op_cases import (
    ACTIVATIONS,
    Scales,
    activation,
    ints,
    one_op,
    random_scales,
    random_values,
    real,
)

from edgekit.graph.ir import DType, Graph, Quantization, Tensor
from edgekit.graph.ops import (
    Add,
    AveragePool2D,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MaxPool2D,
    Mean,
    Mul,
    Padding,
    Sub,
)
from edgekit.graph.shapes import window_count

Pool = type[AveragePool2D | MaxPool2D]
Binary = type[Add | Sub | Mul]


def random_window(rng: np.random.Generator) -> dict[str, object]:
    return {
        "stride": tuple(int(s) for s in rng.integers(1, 4, 2)),
        "dilation": tuple(int(d) for d in rng.choice([1, 1, 1, 2, 3], 2)),
        "padding": Padding(rng.choice(["SAME", "VALID"])),
        "activation": ACTIVATIONS[rng.integers(4)],
    }


def output_size(op: Conv2D | DepthwiseConv2D, size: tuple[int, int], taps: tuple[int, int]):
    return tuple(
        window_count(n, k, s, d, op.padding)
        for n, k, s, d in zip(size, taps, op.stride, op.dilation, strict=True)
    )


def random_weights(
    rng: np.random.Generator, shape: tuple[int, ...], scales: Scales, axis: int
) -> Tensor:
    data = rng.integers(-127, 128, shape).astype(np.int8)
    quantization = Quantization(
        scales.weights,
        np.zeros(len(scales.weights), np.int64),
        axis if len(scales.weights) > 1 else 0,
    )
    return Tensor.constant("weights", data, quantization)


def conv_case(rng: np.random.Generator, always_bias: bool = False) -> Graph:
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    depth, outputs = int(rng.integers(1, 9)), groups * int(rng.integers(1, 7))
    taps = tuple(int(k) for k in rng.integers(1, 5, 2))
    op = Conv2D(**random_window(rng))
    size = tuple(int(n) for n in rng.integers(10, 14, 2))
    scales = random_scales(rng, outputs, depth * taps[0] * taps[1], bool(rng.integers(2)))
    inputs = [
        activation("x", (1, *size, groups * depth), scales.input, scales.input_zero_point),
        random_weights(rng, (outputs, *taps, depth), scales, axis=0),
    ]
    if rng.integers(4) or always_bias:
        inputs.append(scales.bias(rng, outputs, int(2 ** rng.uniform(0, 16))))
    shape = (1, *output_size(op, size, taps), outputs)
    output = activation("y", shape, scales.output, scales.output_zero_point)
    return one_op(op, inputs, output)


def depthwise_case(rng: np.random.Generator, always_bias: bool = False) -> Graph:
    channels, multiplier = int(rng.integers(1, 7)), int(rng.choice([1, 1, 1, 2, 3]))
    taps = tuple(int(k) for k in rng.integers(1, 5, 2))
    op = DepthwiseConv2D(**random_window(rng))
    size = tuple(int(n) for n in rng.integers(10, 14, 2))
    outputs = channels * multiplier
    scales = random_scales(rng, outputs, taps[0] * taps[1], bool(rng.integers(2)))
    inputs = [
        activation("x", (1, *size, channels), scales.input, scales.input_zero_point),
        random_weights(rng, (1, *taps, outputs), scales, axis=3),
    ]
    if rng.integers(4) or always_bias:
        inputs.append(scales.bias(rng, outputs, int(2 ** rng.uniform(0, 16))))
    shape = (1, *output_size(op, size, taps), outputs)
    output = activation("y", shape, scales.output, scales.output_zero_point)
    return one_op(op, inputs, output)


def dense_case(rng: np.random.Generator, per_channel: bool, dtype: DType = DType.INT8) -> Graph:
    batch, depth, outputs = (int(n) for n in rng.integers(1, [5, 65, 17]))
    scales = random_scales(rng, outputs, depth, per_channel)
    limits = np.iinfo(dtype.numpy)
    zero_points = np.zeros(len(scales.weights), np.int64)
    if dtype is DType.UINT8:
        zero_points[:] = rng.integers(0, 256)
    weights = Tensor.constant(
        "weights",
        rng.integers(limits.min + 1, limits.max + 1, (outputs, depth)).astype(dtype.numpy),
        Quantization(scales.weights, zero_points, 0),
    )
    op = FullyConnected(ACTIVATIONS[rng.integers(4)])
    shift = 0 if dtype is DType.INT8 else 128
    x = activation("x", (batch, depth), scales.input, scales.input_zero_point + shift, dtype)
    y = activation("y", (batch, outputs), scales.output, scales.output_zero_point + shift, dtype)
    inputs = [x, weights]
    if rng.integers(4):
        inputs.append(scales.bias(rng, outputs, int(2 ** rng.uniform(0, 16))))
    return one_op(op, inputs, y)


def pool_case(kind: Pool, rng: np.random.Generator, dtype: DType) -> Graph:
    taps = tuple(int(k) for k in rng.integers(1, 6, 2))
    size = tuple(int(n) for n in rng.integers(5, 12, 2))
    op = kind(
        taps,
        tuple(int(s) for s in rng.integers(1, 4, 2)),
        Padding(rng.choice(["SAME", "VALID"])),
        ACTIVATIONS[rng.integers(4)],
    )
    counts = (
        window_count(n, k, s, 1, op.padding) for n, k, s in zip(size, taps, op.stride, strict=True)
    )
    channels = int(rng.integers(1, 6))
    shapes = (1, *size, channels), (1, *counts, channels)
    if dtype is DType.FLOAT32:
        return one_op(op, [real("x", shapes[0])], real("y", shapes[1]))
    scale = float(np.float32(np.exp(rng.uniform(-5, 0))))
    limits = np.iinfo(dtype.numpy)
    zero_point = int(rng.integers(limits.min, limits.max + 1))
    x, y = (activation(n, s, scale, zero_point, dtype) for n, s in zip("xy", shapes, strict=True))
    return one_op(op, [x], y)


def mean_case(rng: np.random.Generator, axes: list[int], rank: int, factor: float) -> Graph:
    shape = tuple(int(n) for n in rng.integers(1, 9, rank))
    keep_dims = bool(rng.integers(2))
    reduced = {axis % rank for axis in axes}
    output = tuple(
        1 if i in reduced else n for i, n in enumerate(shape) if keep_dims or i not in reduced
    )
    scale = float(np.float32(np.exp(rng.uniform(-5, 0))))
    x = activation("x", shape, scale, int(rng.integers(-128, 128)))
    y = activation("y", output, float(np.float32(scale / factor)), int(rng.integers(-128, 128)))
    return one_op(Mean(keep_dims), [x, ints("axes", axes)], y)


def binary_case(
    kind: Binary,
    rng: np.random.Generator,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: DType = DType.INT8,
) -> Graph:
    limits = np.iinfo(dtype.numpy)
    scales = np.exp(rng.uniform(-6, 0, 3)).astype(np.float32)
    if rng.integers(3) == 0:
        scales[1] = scales[0]
    if kind is Mul:
        scales[2] = scales[0] * scales[1] * np.float32(np.exp(rng.uniform(-1, 6)))
    zero_points = rng.integers(limits.min, limits.max + 1, 3)
    output = np.broadcast_shapes(*shapes)
    a, b, y = (
        activation(name, shape, float(scale), int(zero_point), dtype)
        for name, shape, scale, zero_point in zip(
            "aby", (*shapes, output), scales, zero_points, strict=True
        )
    )
    if rng.integers(3) == 0:
        b = Tensor(b.name, b.shape, b.dtype, b.quantization, random_values(rng, b))
    return one_op(kind(ACTIVATIONS[rng.integers(4)]), [a, b], y)
