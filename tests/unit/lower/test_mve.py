"""The kernels for MVE: exact by their portable twins, on QEMU, and by proof."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.chip import firmware, needs_qemu
from support.graphs import GraphBuilder
from support.layer_cases import dense_case, pool_case
from support.op_cases import activation, one_op, rng_of

from edgekit.emulate.chip.firmware import chip_for
from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.samples import each, random_samples
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.isa import Isa
from edgekit.lower.linear_form import linear_form
from edgekit.lower.lowering import lower
from edgekit.lower.one_step import reachable
from edgekit.lower.top_byte import TopByte, top_byte

Q = GraphBuilder.int8
ACTIVATIONS = ["RELU", "RELU6", "NONE"]


def convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for seed in range(24):
        b = GraphBuilder("conv", seed)
        size, depth = int(rng.integers(5, 12)), int(rng.choice([1, 3, 8, 16, 24, 32, 48, 96]))
        kernel = int(rng.choice([1, 1, 3]))
        x = b.input("x", (1, size, size + 1, depth), Q(0.02, int(rng.integers(-128, 128))))
        stride = (int(rng.integers(1, 3)),) * 2
        y = b.conv(
            x,
            4 * int(rng.integers(1, 5)),
            (kernel, kernel),
            stride=stride,
            padding=Padding(rng.choice(["SAME", "VALID"])),
            activation=Activation(rng.choice(ACTIVATIONS)),
            quantization=Q(0.03, int(rng.choice([-128, -128, 3]))),
        )
        yield b.build(y)


def depthwise_convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for seed in range(32):
        b = GraphBuilder("depthwise", seed)
        size, depth = int(rng.integers(3, 12)), int(rng.choice([3, 8, 10, 16, 24]))
        x = b.input("x", (1, size, size + 2, depth), Q(0.02, int(rng.integers(-128, 128))))
        stride = (int(rng.integers(1, 3)),) * 2
        y = b.depthwise(
            x,
            (3, 3),
            stride=stride,
            padding=Padding(rng.choice(["SAME", "VALID"])),
            activation=Activation(rng.choice(ACTIVATIONS)),
            quantization=Q(0.03, int(rng.choice([-128, -128, 3]))),
        )
        yield b.build(y)


def matrix_products(rng: np.random.Generator) -> Iterator[Graph]:
    for index in range(20):
        yield dense_case(rng, per_channel=bool(index % 2))
    for seed in range(6):  # a pointwise convolution of a few pixels is one, too
        b = GraphBuilder("conv", seed)
        x = b.input("x", (1, 1, 1 + seed % 3, 20), Q(0.02, 7))
        yield b.build(b.conv(x, 8, (1, 1), quantization=Q(0.03, -5)))


def sums(rng: np.random.Generator) -> Iterator[Graph]:
    for kind in (ops.Add, ops.Sub):
        for _ in range(8):
            scales = rng.uniform(0.01, 0.1, 3)
            a, b, y = (
                activation(name, (1, 5, 3, 7), float(scale), int(rng.integers(-128, 128)))
                for name, scale in zip("aby", scales, strict=True)
            )
            yield one_op(kind(), [a, b], y)


def averages(rng: np.random.Generator) -> Iterator[Graph]:
    for size, taps, stride in (((6, 6), (6, 6), 1), ((7, 9), (3, 3), 2), ((5, 15), (2, 5), 3)):
        shape = (1, *size, 16)
        x = activation("x", shape, 0.05, -3)
        counts = [(n - k) // stride + 1 for n, k in zip(size, taps, strict=True)]
        y = activation("y", (1, *counts, 16), 0.05, -3)
        op = ops.AveragePool2D(taps, (stride, stride), Padding.VALID)
        yield one_op(op, [x], y)


def maxima(rng: np.random.Generator) -> Iterator[Graph]:
    for _ in range(10):
        yield pool_case(ops.MaxPool2D, rng, DType.INT8)


def kernels(graph: Graph) -> tuple[str, ...]:
    return lower(graph, Isa.MVE).kernel_names


@needs_compiler
@pytest.mark.parametrize(
    ("cases", "kernel"),
    [
        (convolutions, "ek_conv_mve"),
        (depthwise_convolutions, "ek_depthwise_mve"),
        (matrix_products, "ek_dense_mve"),
        (sums, "ek_add_mve"),
        (averages, "ek_average_pool_mve"),
        (maxima, "ek_max_pool_mve"),
    ],
)
def test_twins_are_bit_exact(
    cases: Callable[[np.random.Generator], Iterator[Graph]], kernel: str, tmp_path: Path
) -> None:
    rng = rng_of("mve", kernel)
    graphs = list(cases(rng))
    fast = [graph for graph in graphs if kernel in kernels(graph)]
    assert len(fast) > len(graphs) // 2
    assert_c_equals_reference(fast, tmp_path, rng, isa=Isa.MVE)


@pytest.mark.slow
@needs_qemu
@pytest.mark.parametrize("compiler", ["zig", "gcc"])
def test_vectors_are_bit_exact_on_qemu(compiler: str, tmp_path: Path) -> None:
    """Every kernel with vectors, in its plain form and in that which rounds and clamps."""
    b, outputs = GraphBuilder("vectors"), list[str]()
    for quantization, relu in ((Q(0.03, -128), Activation.RELU), (Q(0.03, 4), Activation.NONE)):
        x = b.input(f"x{relu.value}", (1, 11, 9, 3), Q(0.02, 3))
        y = b.conv(x, 8, (3, 3), activation=relu, quantization=quantization)
        y = b.depthwise(y, (3, 3), activation=relu, quantization=quantization)
        y = b.conv(y, 16, (1, 1), activation=relu, quantization=quantization)
        y = b.depthwise(y, (3, 3), stride=(2, 2), activation=relu, quantization=quantization)
        z = b.conv(y, 16, (1, 1), activation=relu, quantization=quantization)
        y = b.add(ops.Add(), z, y, quantization=quantization)
        y = b.add(ops.MaxPool2D((2, 2), (1, 1), Padding.SAME), y)
        y = b.add(ops.AveragePool2D((6, 5), (1, 1), Padding.VALID), y)
        y = b.fully_connected(b.flatten(y), 6, quantization=Q(0.1, 1))
        outputs.append(y)
    graph = b.build(*outputs)
    made = firmware(tmp_path, "mps3_an547", graph, compiler)
    assert {name for name in made.program.kernel_names if name.endswith("_mve")} == {
        f"ek_{name}_mve"
        for name in ("add", "average_pool", "conv", "dense", "depthwise", "max_pool")
    }
    inferences = Inferences(chip_for(made, "qemu"), made)
    for sample in each(random_samples(graph, 2, 3)):
        found = inferences.run(sample).outputs
        for ours, expected in zip(found, run(graph, sample), strict=True):
            np.testing.assert_array_equal(ours, expected)


def random_terms(
    rng: np.random.Generator, channels: int, low: int, zero_point: int
) -> IntegerTerms:
    return IntegerTerms(
        bias=rng.integers(-(2**15), 2**15, channels),
        multiplier=rng.integers(1 << 30, 1 << 31, channels),
        shift=rng.integers(-12, -4, channels),
        weight_zero_point=0,
        input_zero_point=0,
        zero_point=zero_point,
        low=low,
        high=127,
    )


def in_vectors(sums: np.ndarray, made: TopByte, channel: int) -> np.ndarray:
    """What VQRDMULH, VADD and VQSHL make of sums, and the top byte of it."""
    bias, multiplier, offset, shift = (int(value) for value in made.rows[channel])
    scaled = ((sums + bias) * multiplier + (1 << 30)) >> 31
    scaled = scaled - (0 if made.is_plain else 1) * (scaled < 0) + offset
    assert np.abs(scaled).max() < 1 << 31
    shifted = scaled << shift if shift >= 0 else scaled >> -shift
    return np.clip(np.clip(shifted, -(1 << 31), (1 << 31) - 1) >> 24, made.low, made.high)


@pytest.mark.parametrize("zero_point", [-128, -3, 100])
@pytest.mark.parametrize("is_rectified", [False, True])
def test_top_bytes_equal_two_roundings_at_every_reachable_sum(
    zero_point: int, is_rectified: bool
) -> None:
    rng = rng_of("top byte", str(zero_point))
    terms = random_terms(rng, 4, zero_point if is_rectified else -128, zero_point)
    weights = rng.integers(-127, 128, (4, 9))
    weights[3] = 0
    made = top_byte(terms, weights)
    assert made is not None
    assert made.is_plain is (zero_point == -128)
    low, high = reachable(weights)
    for c in range(4):
        sums = np.arange(low[c], high[c] + 1)
        scaled = multiply_by_quantized_multiplier(
            sums + terms.bias[c], terms.multiplier[c], terms.shift[c]
        )
        expected = np.clip(scaled + terms.zero_point, terms.low, terms.high)
        np.testing.assert_array_equal(in_vectors(sums, made, c), expected)


def test_what_cannot_be_proven_is_left_to_other_kernels() -> None:
    """An offset that leaves int32, sums that do, and a negative value without a shift to round."""
    rng = rng_of("unproven")
    terms = random_terms(rng, 4, low=-128, zero_point=5)
    weights = rng.integers(-127, 128, (4, 9))
    assert top_byte(terms, weights) is not None
    for changed in (
        replace(terms, shift=np.full(4, 1)),
        replace(terms, shift=np.full(4, 0)),
        replace(terms, bias=np.full(4, 1 << 31)),
    ):
        assert top_byte(changed, weights) is None
    many = np.full((4, 4096), 127)
    large = replace(
        terms,
        bias=np.full(4, (1 << 31) - (1 << 27)),
        multiplier=np.full(4, (1 << 31) - 1),
        shift=np.full(4, -25),
    )
    assert top_byte(large, many) is None
    assert top_byte(replace(large, zero_point=-60), many) is not None


@pytest.mark.parametrize("rounding", ["away", "up"])
def test_linear_forms_part_ties(rounding: str) -> None:
    """(a + b) / 2: -0.5 becomes -1 or 0."""
    values = np.arange(-128, 128)
    total = values[:, None] + values
    halves = {"up": (total + 1) >> 1, "away": np.sign(total) * ((np.abs(total) + 1) // 2)}[rounding]
    form = linear_form([values[:, None], values], halves, [0.5, 0.5])
    assert form is not None
    sums = values[:, None] * form.factors[0] + values * form.factors[1] + form.offset
    assert np.abs(sums).max() < 1 << 31
    shifted = np.clip(sums << form.shift, -(1 << 31), (1 << 31) - 1)
    np.testing.assert_array_equal(shifted >> 24, halves)


def test_what_is_no_sum_has_no_linear_form() -> None:
    values = np.arange(-128, 128)
    products = np.clip(values[:, None] * values, -128, 127)
    operands = [values[:, None], values]
    assert linear_form(operands, products, [1.0, 1.0]) is None
    assert linear_form(operands, products, [2.0**40, 1.0]) is None
