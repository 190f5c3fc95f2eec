"""Ops that move or recode values, against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.op_cases import (
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    ints,
    one_op,
    real,
    rng_of,
)

from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Quantization, Tensor
from edgekit.graph.ops import (
    Activation,
    Concatenation,
    Dequantize,
    ExpandDims,
    Op,
    Pad,
    PadV2,
    Quantize,
    Reshape,
    Split,
    Squeeze,
    Transpose,
)

SHAPE = (1, 4, 6, 2)


def typed(name: str, shape: tuple[int, ...], dtype: DType) -> Tensor:
    return real(name, shape) if dtype is DType.FLOAT32 else activation(name, shape, 0.1, -7)


@pytest.mark.parametrize("dtype", [DType.INT8, DType.FLOAT32])
@pytest.mark.parametrize(
    ("op", "constants", "output"),
    [
        (Reshape(), [ints("shape", [1, 48])], (1, 48)),
        (Squeeze((0,)), [], (4, 6, 2)),
        (ExpandDims(), [ints("axis", 1)], (1, 1, 4, 6, 2)),
        (ExpandDims(), [ints("axis", [-1])], (1, 4, 6, 2, 1)),
        (Transpose(), [ints("permutation", [0, 3, 1, 2])], (1, 2, 4, 6)),
        (Transpose(), [ints("permutation", [2, 1, 0, 3])], (6, 4, 1, 2)),
        (Pad(), [ints("paddings", [[0, 0], [1, 2], [0, 3], [0, 0]])], (1, 7, 9, 2)),
        (Pad(), [ints("paddings", [[1, 0], [0, 0], [2, 0], [1, 1]])], (2, 4, 8, 4)),
    ],
)
def test_moves_are_exact(op: Op, constants: list[Tensor], output: tuple, dtype: DType) -> None:
    graph = one_op(op, [typed("x", SHAPE, dtype), *constants], typed("y", output, dtype))
    assert_equals_tflm(graph, rng_of("move"))


@pytest.mark.parametrize("dtype", [DType.INT8, DType.FLOAT32])
def test_padding_with_a_constant(dtype: DType) -> None:
    x = typed("x", SHAPE, dtype)
    constant = Tensor("c", (1,), dtype, x.quantization, np.array([-100], dtype.numpy))
    paddings = ints("paddings", [[0, 0], [1, 0], [0, 1], [0, 0]])
    graph = one_op(PadV2(), [x, paddings, constant], typed("y", (1, 5, 7, 2), dtype))
    assert_equals_tflm(graph, rng_of("padv2"))


@pytest.mark.parametrize("dtype", [DType.INT8, DType.FLOAT32])
@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_split(axis: int, dtype: DType) -> None:
    output = list(SHAPE)
    output[axis] //= 2
    parts = [typed(name, tuple(output), dtype) for name in "pq"]
    inputs = [ints("axis", [axis]), typed("x", SHAPE, dtype)]
    assert_equals_tflm(one_op(Split(2), inputs, *parts), rng_of("split"))


@pytest.mark.parametrize("dtype", [DType.INT8, DType.FLOAT32])
@pytest.mark.parametrize("axis", [0, 1, 3, -1])
def test_concatenation(axis: int, dtype: DType) -> None:
    shapes = [list(SHAPE) for _ in range(3)]
    for extra, shape in enumerate(shapes):
        shape[axis] += extra
    output = list(SHAPE)
    output[axis] = sum(shape[axis] for shape in shapes)
    inputs = [typed(n, tuple(s), dtype) for n, s in zip("abc", shapes, strict=True)]
    graph = one_op(Concatenation(axis), inputs, typed("y", tuple(output), dtype))
    assert_equals_tflm(graph, rng_of("concatenation"))


def test_concatenation_of_other_scales_is_refused() -> None:
    """TFLite Micro would copy the bytes and call them something else."""
    a, b = activation("a", (1, 2), 0.1, 0), activation("b", (1, 2), 0.2, 0)
    graph = one_op(Concatenation(1), [a, b], activation("y", (1, 4), 0.2, 0))
    with pytest.raises(UnsupportedError, match="needs 'a' quantized as its output"):
        run(graph, [np.zeros((1, 2), np.int8)] * 2)


def test_concatenation_with_activation_is_refused_by_both() -> None:
    x = activation("x", (1, 2), 0.1, 0)
    op = Concatenation(1, Activation.RELU)
    graph = one_op(op, [x, x], activation("y", (1, 4), 0.1, 0))
    with pytest.raises(UnsupportedError, match="fused activation"):
        run(graph, [np.zeros((1, 2), np.int8)])
    with pytest.raises(UnsupportedError, match="TFLite Micro refuses"):
        tflm.run(write(graph), [np.zeros((1, 2), np.int8)])


def test_legacy_uint8_concatenation_rescales() -> None:
    a = activation("a", (1, 200), 0.1, 3, DType.UINT8)
    b = activation("b", (1, 200), 0.237, 140, DType.UINT8)
    y = activation("y", (1, 400), 0.2, 99, DType.UINT8)
    assert_equals_litert(one_op(Concatenation(1), [a, b], y), rng_of("uint8 concatenation"))


@pytest.mark.parametrize("scale", [0.5, 0.1, 1 / 3, 0.02, 1 / 255])
@pytest.mark.parametrize("dtype", [DType.INT8, DType.INT16])
def test_quantize_floats(dtype: DType, scale: float) -> None:
    rng = rng_of("quantize", round(scale * 1000))
    y = activation("y", (1, 400), scale, -3, dtype)
    graph = one_op(Quantize(), [real("x", (1, 400))], y)
    steps = np.concatenate([np.arange(-100, 100) + 0.5, rng.uniform(-300, 300, 200)])
    x = (steps * np.float32(scale)).astype(np.float32)[None]
    (expected,) = tflm.run(write(graph), [x])
    np.testing.assert_array_equal(run(graph, [x])[0], expected)


def test_quantize_saturates_far_outside_int32() -> None:
    """C leaves the conversion of such values undefined; here they saturate."""
    graph = one_op(Quantize(), [real("x", (1, 4))], activation("y", (1, 4), 1e-3, 0))
    (y,) = run(graph, [np.array([[1e30, -1e30, 3e6, -3e6]], np.float32)])
    assert y.tolist() == [[127, -128, 127, -128]]


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.0, 1.7, 30.0])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        (DType.INT8, DType.INT8),
        (DType.INT8, DType.UINT8),
        (DType.UINT8, DType.INT8),
        (DType.INT8, DType.INT16),
        (DType.INT16, DType.INT8),
        (DType.INT16, DType.INT16),
    ],
)
def test_requantize(source: DType, target: DType, factor: float) -> None:
    rng = rng_of("requantize", round(factor * 100))
    for zero_points in [(0, 0), (5, 100), (0, 127), (127, 3)]:
        x = activation("x", (1, 300), 0.1, zero_points[0], source)
        y = activation("y", (1, 300), float(np.float32(0.1 / factor)), zero_points[1], target)
        assert_equals_tflm(one_op(Quantize(), [x], y), rng)


@pytest.mark.parametrize("dtype", [DType.INT8, DType.UINT8, DType.INT16])
def test_dequantize(dtype: DType) -> None:
    x = activation("x", (1, 300), 0.0371, 17, dtype)
    graph = one_op(Dequantize(), [x], real("y", (1, 300)))
    oracle = assert_equals_litert if dtype is DType.UINT8 else assert_equals_tflm
    oracle(graph, rng_of("dequantize"))


def test_types_without_kernels_are_refused() -> None:
    x = Tensor("x", (1, 2), DType.INT64, Quantization.per_tensor(0.1, 0))
    graph = one_op(Dequantize(), [x], real("y", (1, 2)))
    with pytest.raises(UnsupportedError, match="int8, uint8 and int16"):
        run(graph, [np.zeros((1, 2), np.int64)])
