"""Legacy uint8 networks in C: int8 inside, the reference's bits, and LiteRT's, at the ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.c_host import HostPrograms, assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder, convnet, single_op_graphs
from support.layer_cases import (
    binary_case,
    conv_case,
    dense_case,
    depthwise_case,
    mean_case,
    pool_case,
)
from support.op_cases import activation, one_op, rng_of
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.emulate import litert
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Quantization, Tensor
from edgekit.lower.lowering import lower

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)


def legacy(graph: Graph, rng: np.random.Generator) -> Graph:
    """The graph as older converters wrote it: uint8, weights of one scale with a zero point."""
    weights = {node.inputs[1] for node in graph.nodes if isinstance(node.op, WEIGHTED)}
    tensors = {
        name: _legacy(tensor, int(rng.integers(0, 256)) if name in weights else None)
        for name, tensor in graph.tensors.items()
    }
    return replace(graph, tensors=tensors)


def _legacy(tensor: Tensor, zero_point: int | None) -> Tensor:
    if tensor.dtype is not DType.INT8:
        return tensor
    q = tensor.quantization
    assert q is not None
    moved = q.zero_point + 128 if zero_point is None else zero_point
    data = None if tensor.data is None else (tensor.data.astype(np.int16) + 128).astype(np.uint8)
    quantization = Quantization.per_tensor(q.scale, moved)
    return Tensor(tensor.name, tensor.shape, DType.UINT8, quantization, data)


def layers(rng: np.random.Generator) -> Iterator[Graph]:
    for _ in range(15):
        yield legacy(conv_case(rng), rng)
        yield legacy(depthwise_case(rng), rng)
        yield dense_case(rng, per_channel=False, dtype=DType.UINT8)
        yield pool_case(ops.AveragePool2D, rng, DType.UINT8)
        yield pool_case(ops.MaxPool2D, rng, DType.UINT8)
    for kind in (ops.Add, ops.Sub, ops.Mul):
        for shapes in (((1, 5, 4, 3), (1, 5, 4, 3)), ((1, 5, 4, 3), (3,))):
            yield binary_case(kind, rng, shapes, DType.UINT8)
    for factor in (0.01, 0.7, 4.0):
        yield legacy(mean_case(rng, [1, 2], 4, factor), rng)


def ties(rng: np.random.Generator) -> Iterator[Graph]:
    """Averages of two and of four values: half of them, and a quarter, lie between two integers."""
    for taps in ((1, 2), (2, 2)):
        x = activation("x", (1, 8, 8, 16), 0.1, 100, DType.UINT8)
        y = activation("y", (1, 8 // taps[0], 4, 16), 0.1, 100, DType.UINT8)
        yield one_op(ops.AveragePool2D(taps, taps, ops.Padding.VALID), [x], y)


def joins(rng: np.random.Generator) -> Iterator[Graph]:
    """A concatenation of other scales, of the same one, of constants, of one tensor twice."""
    y = activation("y", (1, 90), 0.2, 99, DType.UINT8)
    for scale, zero_point in ((0.1, 3), (0.237, 140), (0.2, 99)):
        a = activation("a", (1, 30), scale, zero_point, DType.UINT8)
        b = activation("b", (1, 30), 0.31, 7, DType.UINT8)
        data = rng.integers(0, 256, (1, 30)).astype(np.uint8)
        c = Tensor.constant("c", data, Quantization.per_tensor(scale, zero_point))
        yield one_op(ops.Concatenation(1), [a, b, c], y)
        yield one_op(ops.Concatenation(1), [a, b, a], y)


def single_ops(rng: np.random.Generator) -> Iterator[Graph]:
    for graph in single_op_graphs(quantized=True).values():
        yield legacy(graph, rng)


def networks(rng: np.random.Generator) -> Iterator[Graph]:
    for seed in range(3):
        yield legacy(convnet(seed=seed), rng)


def borders(rng: np.random.Generator) -> Iterator[Graph]:
    """uint8 ends around an int8 network, float ends around a uint8 one, an input that is output."""
    b = GraphBuilder("ends")
    x = b.input("x", (1, 6, 6, 3), b.int8(0.1, 128), DType.UINT8)
    y = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.1, 0))
    y = b.conv(y, 4, (3, 3))
    b.add(ops.Quantize(), y, dtype=DType.UINT8, quantization=b.int8(0.2, 120))
    yield b.build()
    b = GraphBuilder("float ends")
    x = b.input("x", (1, 40))
    y = b.add(ops.Quantize(), x, dtype=DType.UINT8, quantization=b.int8(0.05, 120))
    z = b.add(ops.Dequantize(), y, dtype=DType.FLOAT32)
    yield b.build(y, z)
    b = GraphBuilder("both ends")
    x = b.input("x", (1, 40), b.int8(0.1, 128), DType.UINT8)
    yield b.build(x, b.add(ops.Relu(), x))


@needs_compiler
@pytest.mark.parametrize(
    "cases", [layers, ties, joins, single_ops, networks, borders], ids=lambda cases: cases.__name__
)
def test_is_bit_exact(cases, tmp_path: Path) -> None:
    rng = rng_of("legacy c", cases.__name__)
    assert_c_equals_reference(list(cases(rng)), tmp_path, rng)


def test_only_ends_are_uint8_and_quantize_spares_a_step() -> None:
    program = lower(legacy(convnet(), np.random.default_rng(0)))
    kinds = {t.name: t.dtype for t in program.graph.tensors.values() if not t.is_constant}
    assert {name for name, kind in kinds.items() if kind is DType.UINT8} == {
        *program.graph.inputs,
        *program.graph.outputs,
    }
    with_quantize = next(borders(np.random.default_rng(0)))
    assert len(lower(with_quantize).steps) == len(with_quantize.nodes)


def test_int8_graphs_are_left_alone() -> None:
    graph = convnet()
    assert lower(graph).graph is graph


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("size", ["0.25_128", "0.5_160"])
def test_real_legacy_models_equal_litert(size: str, tmp_path: Path) -> None:
    data = shared_file(f"coral/mobilenet_v1_{size}_quant.tflite")
    graph = read(data)
    shape = graph.tensors[graph.inputs[0]].shape
    rng = rng_of("legacy mobilenet", size)
    noise = rng.integers(0, 256, (12, *shape[1:])).astype(np.uint8)
    images = np.concatenate([noise, _photo_like(rng, 12, shape[1])])
    programs = HostPrograms([graph], tmp_path, "-O2")
    expected = litert.run(data, [images], litert.Kernels.REFERENCE)[0]
    ours = programs.run([(0, [image[None]]) for image in images])
    np.testing.assert_array_equal(np.concatenate([o[0] for o in ours]), expected)


def _photo_like(rng: np.random.Generator, count: int, side: int) -> np.ndarray:
    """Smooth surfaces with edges, and a little noise, over the range that photographs use."""
    coarse = rng.uniform(0, 255, (count, 9, 9, 3))
    steps = np.arange(side) * 8 / side
    low = steps.astype(int)
    part = steps - low
    rows = coarse[:, low] * (1 - part)[:, None, None] + coarse[:, low + 1] * part[:, None, None]
    cut = part[None, None, :, None]
    smooth = rows[:, :, low] * (1 - cut) + rows[:, :, low + 1] * cut
    edges = 60 * (rng.uniform(0, 1, (count, 1, side, 1)) > 0.9)
    return np.clip(smooth + edges + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
