"""Every C kernel gives the reference's bits; sanitizers watch memory and undefined behaviour."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.layer_cases import (
    binary_case,
    conv_case,
    dense_case,
    depthwise_case,
    mean_case,
    pool_case,
)
from support.op_cases import activation, ints, one_op, real, rng_of

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Tensor
from edgekit.lower.lowering import lower

pytestmark = needs_compiler

SHAPE = (1, 4, 6, 2)
BROADCASTS = [
    ((1, 5, 4, 3), (1, 5, 4, 3)),
    ((1, 5, 4, 3), (1, 1, 1, 3)),
    ((1, 1, 1, 3), (1, 5, 4, 3)),
    ((1, 5, 4, 3), (1, 1, 1, 1)),
    ((1, 5, 4, 3), (3,)),
    ((1, 5, 1, 3), (1, 1, 4, 3)),
]
AXES = [([1, 2], 4), ([3], 4), ([1], 4), ([1, 2, 3], 4), ([1, 3], 4), ([1], 2), ([0], 1)]


def convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for _ in range(30):
        yield conv_case(rng)


def depthwise_convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for _ in range(30):
        yield depthwise_case(rng)


def matrix_products(rng: np.random.Generator) -> Iterator[Graph]:
    for index in range(20):
        yield dense_case(rng, per_channel=bool(index % 2))


def pools(rng: np.random.Generator) -> Iterator[Graph]:
    for kind in (ops.AveragePool2D, ops.MaxPool2D):
        for _ in range(15):
            yield pool_case(kind, rng, DType.INT8)


def means(rng: np.random.Generator) -> Iterator[Graph]:
    for axes, rank in AXES:
        for factor in (0.01, 0.7, 1.3, 4.0):
            yield mean_case(rng, axes, rank, factor)


def sums_and_products(rng: np.random.Generator) -> Iterator[Graph]:
    for kind in (ops.Add, ops.Sub, ops.Mul):
        for shapes in BROADCASTS:
            yield binary_case(kind, rng, shapes)
    x = activation("x", (1, 3, 3, 2), 0.1, 5)
    yield one_op(ops.Add(), [x, x], activation("y", x.shape, 0.2, 5))


def lookups(rng: np.random.Generator) -> Iterator[Graph]:
    for scale in (1e-4, 0.02, 0.11, 3.0):
        for zero_point in (-128, 5, 127):
            x = activation("x", (1, 7, 13), scale, zero_point)
            y = activation("y", x.shape, float(np.float32(scale * 0.7)), -zero_point - 1)
            yield one_op(ops.HardSwish(), [x], y)
            yield one_op(ops.Relu(), [x], y)
            yield one_op(ops.Relu6(), [x], activation("y", x.shape, scale, zero_point))
            yield one_op(ops.Quantize(), [x], y)
            yield one_op(ops.Logistic(), [x], activation("y", x.shape, 1 / 256, -128))


def softmaxes(rng: np.random.Generator) -> Iterator[Graph]:
    for scale in (0.01, 0.1, 0.5, 3.0):
        for beta in (0.5, 1.0):
            for shape in ((1, 10), (2, 3, 5), (1, 1), (1, 300)):
                x, y = activation("x", shape, scale, 3), activation("y", shape, 1 / 256, -128)
                yield one_op(ops.Softmax(beta), [x], y)


def moves(rng: np.random.Generator) -> Iterator[Graph]:
    def byte(name: str, shape: tuple[int, ...]) -> Tensor:
        return activation(name, shape, 0.1, -7)

    x = byte("x", SHAPE)
    yield one_op(ops.Reshape(), [x, ints("shape", [1, 48])], byte("y", (1, 48)))
    for order in ([0, 3, 1, 2], [2, 1, 0, 3], [3, 2, 1, 0]):
        shape = tuple(SHAPE[axis] for axis in order)
        yield one_op(ops.Transpose(), [x, ints("permutation", order)], byte("y", shape))
    for pads in ([[0, 0], [1, 2], [0, 3], [0, 0]], [[1, 0], [0, 0], [2, 0], [1, 1]]):
        shape = tuple(n + a + b for n, (a, b) in zip(SHAPE, pads, strict=True))
        yield one_op(ops.Pad(), [x, ints("paddings", pads)], byte("y", shape))
        fill = Tensor("c", (1,), DType.INT8, x.quantization, np.array([-100], np.int8))
        yield one_op(ops.PadV2(), [x, ints("paddings", pads), fill], byte("y", shape))
    for axis in (1, 2, 3, -1):
        shape = tuple(n // 2 if i == axis % 4 else n for i, n in enumerate(SHAPE))
        parts = [byte("p", shape), byte("q", shape)]
        yield one_op(ops.Split(2), [ints("axis", [axis]), x], *parts)
        joined = tuple(n * 3 if i == axis % 4 else n for i, n in enumerate(SHAPE))
        yield one_op(ops.Concatenation(axis), [x, byte("z", SHAPE), x], byte("y", joined))


def borders(rng: np.random.Generator) -> Iterator[Graph]:
    for scale in (0.003, 0.25, 7.0):
        quantized, plain = activation("q", (1, 40), scale, 17), real("r", (1, 40))
        yield one_op(ops.Quantize(), [plain], quantized)
        yield one_op(ops.Dequantize(), [quantized], plain)


def sums_of_one_shape(rng: np.random.Generator) -> Iterator[Graph]:
    """Operands of one shape, of scales that make ties (equal ones, halves) and that do not."""
    for kind in (ops.Add, ops.Sub):
        for scales in ((0.1, 0.1, 0.2), (0.1, 0.1, 0.1), (0.07, 0.03, 0.05), (0.5, 0.001, 0.3)):
            a, b = (activation(n, (1, 257), s, -3) for n, s in zip("ab", scales[:2], strict=True))
            y = activation("y", (1, 257), scales[2], int(rng.integers(-128, 128)))
            yield one_op(
                kind(ops.Activation.RELU if rng.integers(2) else ops.Activation.NONE), [a, b], y
            )


CASES = (
    sums_of_one_shape,
    convolutions,
    depthwise_convolutions,
    matrix_products,
    pools,
    means,
    sums_and_products,
    lookups,
    softmaxes,
    moves,
    borders,
)


@pytest.mark.parametrize("cases", CASES, ids=lambda cases: cases.__name__)
def test_is_bit_exact(
    cases: Callable[[np.random.Generator], Iterator[Graph]], tmp_path: Path
) -> None:
    rng = rng_of("c", cases.__name__)
    assert_c_equals_reference(list(cases(rng)), tmp_path, rng)


@pytest.mark.parametrize("cases", (convolutions, matrix_products, means, softmaxes))
def test_is_bit_exact_as_the_smallest_cores_compute(
    cases: Callable[[np.random.Generator], Iterator[Graph]], tmp_path: Path
) -> None:
    """Armv6-M and Armv8-M Baseline take other paths, which any compiler can be told to take."""
    rng = rng_of("small core", cases.__name__)
    small_core = ("-DEK_NARROW_MULTIPLIER", "-DEK_FEW_REGISTERS")
    assert_c_equals_reference(list(cases(rng)), tmp_path, rng, *small_core)


def test_sums_take_one_step_where_sums_of_one_shape_of_operands_prove_it() -> None:
    a, b = activation("a", (1, 257), 0.07, -3), activation("b", (1, 257), 0.03, 9)
    assert kernel_names(a, b, activation("y", (1, 257), 0.05, 5)) == ("ek_add_once_s8",)
    # 128 * 2^20 * 0.07 / 1e-4 is beyond 32 bits.
    assert kernel_names(a, b, activation("y", (1, 257), 1e-4, 5)) == ("ek_add_s8",)
    one = activation("b", (1, 1), 0.03, 9)
    assert kernel_names(a, one, activation("y", (1, 257), 0.05, 5)) == ("ek_add_s8",)


def kernel_names(a: Tensor, b: Tensor, y: Tensor) -> tuple[str, ...]:
    return lower(one_op(ops.Add(), [a, b], y)).kernel_names
