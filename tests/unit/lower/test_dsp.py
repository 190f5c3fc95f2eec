"""The kernels for pairs of 16-bit products: exact by their portable twins, and by proof."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder
from support.op_cases import activation, ints, one_op, rng_of

from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation, AveragePool2D, MaxPool2D, Mean, Padding
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.one_step import MOST, exponents, one_step, reachable, signed_step
from edgekit.lower.two_steps import two_steps

Q = GraphBuilder.int8


def convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    """Clamped and linear outputs; few pixels and many; even and odd channels; groups, dilation."""
    for seed in range(40):
        b = GraphBuilder("conv", seed)
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        size, depth = int(rng.integers(1, 10)), groups * int(rng.choice([1, 3, 4, 8, 12]))
        kernel = int(rng.choice([1, 1, 3]))
        x = b.input("x", (1, size, size + 1, depth), Q(0.02, int(rng.integers(-128, 128))))
        is_clamped = seed % 2 == 0
        y = b.conv(
            x,
            groups * int(rng.integers(2, 12)),
            (kernel, kernel),
            groups,
            stride=(int(rng.integers(1, 3)),) * 2,
            dilation=(int(rng.choice([1, 1, 2])), int(rng.choice([1, 1, 2]))),
            padding=Padding("SAME" if size < 6 else rng.choice(["SAME", "VALID"])),
            activation=Activation(rng.choice(["RELU", "RELU6"]) if is_clamped else "NONE"),
            quantization=Q(0.03, -128) if is_clamped else None,
        )
        yield b.build(y)


def depthwise(
    seed: int, shape: tuple[int, ...], window: tuple[int, int], stride: int, multiplier: int = 1
) -> Graph:
    rng = rng_of("depthwise", seed)
    b = GraphBuilder("depthwise", seed)
    x = b.input("x", shape, Q(0.02, int(rng.integers(-128, 128))))
    relu = Activation(rng.choice(["RELU", "RELU6", "NONE"]))
    y = b.depthwise(
        x,
        window,
        multiplier,
        stride=(stride, stride),
        padding=Padding(rng.choice(["SAME", "VALID"])),
        activation=relu,
        # The finish in one step is exact for some linear layers only.
        quantization=Q(0.03, -128 if relu is not Activation.NONE else int(rng.integers(-128, 128))),
    )
    return b.build(y)


def strips(rng: np.random.Generator) -> Iterator[Graph]:
    """Even and odd numbers of rows and columns, down to two of each; some images twice."""
    for seed in range(24):
        batches, height, width = 1 + seed % 2, *(int(n) for n in rng.integers(4, 12, 2))
        yield depthwise(seed, (batches, height, width, 4 * int(rng.integers(1, 4))), (3, 3), 1)


def windows(rng: np.random.Generator) -> Iterator[Graph]:
    """Any window and stride; channels that are no multiple of four; copies of the channels."""
    for seed in range(24):
        size = (int(n) for n in rng.integers(7, 12, 2))
        window = [(3, 3), (5, 5), (2, 4), (1, 7), (4, 1)][seed % 5]
        stride = 2 if window == (3, 3) else int(rng.integers(1, 3))
        multiplier = int(rng.choice([1, 1, 2, 3]))
        yield depthwise(seed, (1, *size, int(rng.integers(4, 12))), window, stride, multiplier)


def matrix_products(rng: np.random.Generator) -> Iterator[Graph]:
    """Clamped and linear outputs, of any number; inputs that are no multiple of eight."""
    for seed in range(24):
        b = GraphBuilder("dense", seed)
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 200)))
        x = b.input("x", shape, Q(0.02, int(rng.integers(-128, 128))))
        y = b.fully_connected(
            x,
            int(rng.integers(1, 20)),
            keep_dims=True,
            activation=Activation("RELU" if seed % 2 else "NONE"),
            quantization=Q(0.03, -128) if seed % 2 else None,
        )
        yield b.build(y)


def pools(kind: type[AveragePool2D | MaxPool2D]) -> Iterator[Graph]:
    for seed in range(8):
        rng = rng_of("pool", seed)
        shape = (1 + seed % 2, 7, 9, int(rng.integers(4, 12)))
        x = activation("x", shape, 0.02, int(rng.integers(-128, 128)))
        op = kind((3, 2), (2, 1), Padding.SAME, Activation.RELU6 if seed % 3 else Activation.NONE)
        yield one_op(op, [x], replace(x, name="y", shape=(shape[0], 4, 9, shape[3])))


def average_pools(rng: np.random.Generator) -> Iterator[Graph]:
    yield from pools(AveragePool2D)
    x = activation("x", (1, 16, 16, 5), 0.02, 3)  # the most pixels that 16 bits hold
    op = AveragePool2D((16, 16), (1, 1), Padding.VALID, Activation.NONE)
    yield one_op(op, [x], replace(x, name="y", shape=(1, 1, 1, 5)))


def max_pools(rng: np.random.Generator) -> Iterator[Graph]:
    yield from pools(MaxPool2D)


def means(rng: np.random.Generator) -> Iterator[Graph]:
    """Also of more pixels than 16 bits hold."""
    for shape in ((1, 3, 3, 4), (2, 5, 7, 9), (1, 16, 16, 8), (1, 17, 31, 6)):
        x = activation("x", shape, 0.02, int(rng.integers(-128, 128)))
        y = activation("y", (shape[0], shape[3]), 0.013, int(rng.integers(-128, 128)))
        yield one_op(Mean(keep_dims=False), [x, ints("axes", [1, 2])], y)


def kernels(graph: Graph) -> tuple[str, ...]:
    return lower(graph, Isa.DSP).kernel_names


@needs_compiler
@pytest.mark.parametrize(
    ("cases", "kernel"),
    [
        (convolutions, "ek_conv_dsp"),
        (strips, "ek_depthwise_3x3_dsp"),
        (windows, "ek_depthwise_dsp"),
        (matrix_products, "ek_dense_dsp"),
        (average_pools, "ek_average_pool_dsp"),
        (max_pools, "ek_max_pool_dsp"),
        (means, "ek_mean_dsp"),
    ],
)
def test_twins_are_bit_exact(
    cases: Callable[[np.random.Generator], Iterator[Graph]], kernel: str, tmp_path: Path
) -> None:
    rng = rng_of("dsp", kernel)
    graphs = list(cases(rng))
    fast = [graph for graph in graphs if kernel in kernels(graph)]
    assert len(fast) > len(graphs) // 2
    assert_c_equals_reference(fast, tmp_path, rng, isa=Isa.DSP)


def random_terms(rng: np.random.Generator, channels: int, low: int) -> IntegerTerms:
    return IntegerTerms(
        bias=rng.integers(-(2**15), 2**15, channels),
        multiplier=rng.integers(1 << 30, 1 << 31, channels),
        shift=rng.integers(-12, -4, channels),
        weight_zero_point=0,
        input_zero_point=0,
        zero_point=-128 if low == -128 else int(rng.integers(-100, 100)),
        low=low,
        high=127,
    )


@pytest.mark.parametrize("seed", range(6))
def test_one_step_equals_two_roundings_at_every_reachable_sum(seed: int) -> None:
    rng = rng_of("one step", seed)
    terms = random_terms(rng, 4, low=-128)
    weights = rng.integers(-127, 128, (4, 9))
    exponent = exponents(terms, weights)
    made = one_step(terms, weights, exponent)
    assert made is not None
    for c in range(4):
        reach = int(np.abs(weights[c]).sum()) * 128
        sums = np.arange(-reach, reach + 1)
        products = (((sums + made.bias[c]) << exponent[c]) * made.multiplier[c]) >> 32
        ours = np.clip((products + made.offset[c]) >> made.shift[c], -128, 127)
        scaled = multiply_by_quantized_multiplier(
            sums + terms.bias[c], terms.multiplier[c], terms.shift[c]
        )
        expected = np.clip(scaled + terms.zero_point, terms.low, terms.high)
        low, high = (int(end[c]) for end in reachable(weights))
        inside = (sums >= low) & (sums <= high)
        np.testing.assert_array_equal(ours[inside], expected[inside])


@pytest.mark.parametrize("seed", range(6))
def test_two_steps_equal_two_roundings_at_every_reachable_sum(seed: int) -> None:
    """Ties of negative numbers too: the multiplier 2^30 makes them."""
    rng = rng_of("two steps", seed)
    terms = replace(random_terms(rng, 4, low=-128), zero_point=int(rng.integers(-128, 128)))
    terms.multiplier[0] = 1 << 30
    terms.multiplier[1], terms.shift[1] = 0, 0
    weights = rng.integers(-127, 128, (4, 9))
    low, high = reachable(weights)
    made = two_steps(terms, low, high)
    assert made is not None
    finish, exponent = made
    for c in range(4):
        sums = np.arange(low[c], high[c] + 1)
        raised = (sums + finish.bias[c]) << exponent[c]
        rounded = (raised * finish.multiplier[c] + (1 << 31)) >> 32
        halves = ((rounded + (rounded >> 63)) >> finish.shift[c]) + finish.offset[c]
        scaled = multiply_by_quantized_multiplier(
            sums + terms.bias[c], terms.multiplier[c], terms.shift[c]
        )
        expected = np.clip(scaled + terms.zero_point, -128, 127)
        np.testing.assert_array_equal(np.clip(halves >> 1, -128, 127), expected)


def test_two_steps_need_a_right_shift_and_the_clamps_of_int8() -> None:
    rng = rng_of("no two steps")
    terms = random_terms(rng, 4, low=-128)
    ends = reachable(rng.integers(-127, 128, (4, 9)))
    assert two_steps(terms, *ends) is not None
    assert two_steps(replace(terms, low=-100), *ends) is None
    assert two_steps(replace(terms, shift=np.zeros(4, np.int64)), *ends) is None
    assert two_steps(replace(terms, bias=np.full(4, 1 << 30)), *ends) is None


def test_what_cannot_be_proven_is_left_to_the_portable_kernel() -> None:
    """A sum that 2^8 would carry beyond int32 has no one-step form with that exponent."""
    rng = rng_of("unproven")
    terms = random_terms(rng, 4, low=-128)
    large = replace(terms, bias=np.full(4, 1 << 25), shift=np.full(4, -22))
    weights = rng.integers(-127, 128, (4, 9))
    assert one_step(large, weights, MOST) is None
    assert exponents(large, weights).max() < MOST


@pytest.mark.parametrize("seed", range(6))
def test_signed_step_equals_two_roundings_at_every_reachable_sum(seed: int) -> None:
    """Of linear outputs, whose negative ties no single offset rounds as TFLite does."""
    rng = rng_of("signed step", seed)
    terms = replace(random_terms(rng, 4, low=-128), zero_point=int(rng.integers(-100, 100)))
    weights = rng.integers(-127, 128, (4, 9))
    made = signed_step(terms, weights)
    assert made is not None
    assert one_step(terms, weights) is None
    for c in range(4):
        low, high = (int(end[c]) for end in reachable(weights))
        sums = np.arange(low, high + 1)
        scaled = ((sums + made.bias[c]) << MOST) * made.multiplier[c] >> 32
        offset = made.offset[c] + np.where(sums + made.bias[c] < 0, made.jump[c], 0)
        ours = np.clip((scaled + offset) >> made.shift[c], -128, 127)
        twice = multiply_by_quantized_multiplier(
            sums + terms.bias[c], terms.multiplier[c], terms.shift[c]
        )
        expected = np.clip(twice + terms.zero_point, terms.low, terms.high)
        np.testing.assert_array_equal(ours, expected)


def test_layers_share_a_shift_where_that_is_exact() -> None:
    rng = rng_of("shared shift")
    terms = replace(random_terms(rng, 4, low=-128), shift=np.array([-6, -7, -7, -8]))
    weights = rng.integers(-127, 128, (4, 9))
    made = one_step(terms, weights, shift=12)
    assert made is not None
    assert set(made.shift) == {12}
    assert one_step(replace(terms, shift=np.array([-6, -7, -7, -3])), weights, shift=12) is None


def test_other_layers_keep_their_portable_kernels() -> None:
    b = GraphBuilder("single")
    x = b.input("x", (1, 6, 6, 3), Q(0.02))
    y = b.conv(x, 1, (3, 3), quantization=Q(0.03))  # a single output
    assert kernels(b.build(b.depthwise(y, (3, 3), quantization=Q(0.03)))) == (
        "ek_conv_s8",
        "ek_depthwise_s8",
    )


def test_cores_know_what_they_multiply() -> None:
    assert Isa.of("cortex-m4") is Isa.of("cortex-m7") is Isa.DSP
    assert Isa.of("cortex-m0plus") is Isa.of("cortex-m3") is Isa.THUMB
    assert Isa.of("xtensa-lx7") is Isa.PORTABLE
