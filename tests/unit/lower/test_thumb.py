"""The kernels for 32-bit products: exact by their portable twins, on the chip, and by proof."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.c_host import HostPrograms, assert_c_equals_reference, needs_compiler
from support.chip import firmware
from support.graphs import GraphBuilder
from support.op_cases import activation, one_op, rng_of

from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.chip.unicorn_chip import UnicornChip
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier
from edgekit.graph.ir import Graph, Quantization, Tensor
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.one_step import reachable
from edgekit.lower.two_products import two_products
from edgekit.plan.static_memory import plan_memory

Q = GraphBuilder.int8


def convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for seed in range(24):
        b = GraphBuilder("conv", seed)
        size, depth = int(rng.integers(5, 12)), int(rng.choice([1, 3, 4, 8, 40]))
        kernel = (int(rng.choice([1, 1, 3])), int(rng.choice([1, 3])))
        x = b.input("x", (2, size, size + 1, depth), Q(0.02, int(rng.integers(-128, 128))))
        y = b.conv(
            x,
            int(rng.integers(1, 9)),
            kernel,
            stride=(int(rng.integers(1, 3)),) * 2,
            padding=Padding(rng.choice(["SAME", "VALID"])),
            activation=Activation(rng.choice(["RELU", "RELU6", "NONE"])),
            quantization=Q(0.03, -128),
        )
        yield b.build(y)


def depthwise_convolutions(rng: np.random.Generator) -> Iterator[Graph]:
    for seed in range(24):
        b = GraphBuilder("depthwise", seed)
        height, width = (int(n) for n in rng.integers([1, 5], [12, 18]))
        x = b.input("x", (2, height, width, int(rng.integers(1, 6))), Q(0.02, -seed))
        is_valid = height > 3 and bool(rng.integers(2))
        y = b.depthwise(
            x,
            (3, 3),
            stride=(int(rng.integers(1, 4)), int(rng.integers(1, 3))),
            padding=Padding.VALID if is_valid else Padding.SAME,
            activation=Activation(rng.choice(["RELU", "RELU6", "NONE"])),
            quantization=Q(0.03, int(rng.choice([-128, 5]))),
        )
        yield b.build(y)


def kernels(graph: Graph) -> tuple[str, ...]:
    return lower(graph, Isa.THUMB).kernel_names


@needs_compiler
@pytest.mark.parametrize(
    ("cases", "kernel"),
    [(convolutions, "ek_conv_pairs"), (depthwise_convolutions, "ek_depthwise_planes")],
)
def test_twins_are_bit_exact(
    cases: Callable[[np.random.Generator], Iterator[Graph]], kernel: str, tmp_path: Path
) -> None:
    rng = rng_of("thumb", kernel)
    graphs = list(cases(rng))
    fast = [graph for graph in graphs if kernel in kernels(graph)]
    assert len(fast) > len(graphs) // 2
    assert_c_equals_reference(fast, tmp_path, rng, isa=Isa.THUMB)


def edges() -> Graph:
    """1x1, of which a channel's runs reach -32768 and 32640 each, or end at a limit."""
    rows = [
        [64] * 4 + [64] * 4,  # exactly -32768 for inputs of -128: runs of four
        [-64] * 4 + [-64] * 4,  # 32768 would not fit: runs of three
        [64, 64, 64, 63, -1, 1, 0, 0],
        [0] * 8,
        [127, 127, -127, -127, 127, 127, -127, -127],
        [0, 0, 0, 1, 0, 0, 0, -128],
        [1] * 8,
    ]
    data = np.repeat(np.array(rows), 7, axis=1).astype(np.int8)  # 56 taps: more than a run's code
    weights = Tensor.constant(
        "w", data[:, None, None, :], Quantization(np.full(7, 1e-3), np.zeros(7, np.int64), 0)
    )
    x = activation("x", (1, 3, 3, 56), 0.05, -128)
    return one_op(ops.Conv2D(), [x, weights], activation("y", (1, 3, 3, 7), 0.5, 3))


def extremes() -> list[np.ndarray]:
    """Inputs that take sums to their ends, neighbouring pixels to opposite ones."""
    low, high = np.full((1, 3, 3, 56), -128, np.int8), np.full((1, 3, 3, 56), 127, np.int8)
    turns = np.where(np.arange(9).reshape(1, 3, 3, 1) % 2, low, high)
    return [low, high, turns, ~turns]


@needs_compiler
def test_sums_reach_the_ends_of_their_halves(tmp_path: Path) -> None:
    graph = edges()
    assert kernels(graph) == ("ek_conv_pairs",)
    programs = HostPrograms([graph], tmp_path, isa=Isa.THUMB)
    for x, outputs in zip(extremes(), programs.run([(0, [x]) for x in extremes()]), strict=True):
        np.testing.assert_array_equal(outputs[0], run(graph, [x])[0])


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_assembly_reaches_the_ends_too(compiler: str, tmp_path: Path) -> None:
    made = firmware(tmp_path, "rpi_pico", edges(), compiler)
    assert made.program.kernel_names == ("ek_conv_pairs",)
    chip = UnicornChip(made.board, made.image, made.image.symbol("ek_model_invoke"))
    inferences = Inferences(chip, made)
    for x in extremes():
        expected = run(made.program.graph, [x])
        np.testing.assert_array_equal(inferences.run([x]).outputs[0], expected[0])


def block(batch: int) -> Graph:
    """A depthwise convolution between pointwise ones, so that its memory is the planner's."""
    b = GraphBuilder("block")
    x = b.input("x", (batch, 40, 120, 2), Q(0.02, 3))
    x = b.conv(x, 8, (1, 1), quantization=Q(0.03, -2))
    y = b.depthwise(x, (3, 3), quantization=Q(0.05, 1))
    return b.build(b.conv(y, 2, (1, 1), quantization=Q(0.05, 1)))


@needs_compiler
@pytest.mark.parametrize("batch", [1, 2])
def test_depthwise_in_place_and_in_strips(batch: int, tmp_path: Path) -> None:
    graph = block(batch)
    program = lower(graph, Isa.THUMB)
    kernel = program.steps[1].kernels[0]
    assert kernel.name == "ek_depthwise_planes"
    assert kernel.parameters["strip_height"] == 6
    offsets = plan_memory(program).offsets
    assert (offsets[kernel.operands[0]] == offsets[kernel.outputs[0]]) == (batch == 1)
    assert_c_equals_reference([graph], tmp_path, rng_of("block"), samples=1, isa=Isa.THUMB)


def random_terms(rng: np.random.Generator, channels: int) -> IntegerTerms:
    return IntegerTerms(
        bias=rng.integers(-(2**15), 2**15, channels),
        multiplier=rng.integers(1 << 30, 1 << 31, channels),
        shift=rng.integers(-12, -4, channels),
        weight_zero_point=0,
        input_zero_point=0,
        zero_point=-128,
        low=-128,
        high=127,
    )


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("is_linear", [False, True])
def test_two_products_equal_two_roundings_at_every_reachable_sum(
    seed: int, is_linear: bool
) -> None:
    rng = rng_of("two products", seed, is_linear)
    terms = random_terms(rng, 4)
    if is_linear:
        terms = replace(terms, zero_point=int(rng.integers(-100, 100)), high=100)
    weights = rng.integers(-127, 128, (4, 9))
    made = two_products(terms, weights)
    assert made is not None
    lows, highs = reachable(weights)
    for c in range(4):
        sums = np.arange(lows[c], highs[c] + 1)
        v = np.clip(sums + made.bias[c], made.least[c], made.most[c])
        part = v * made.low[c]
        scaled = v * made.high[c] + (((part >> (made.split[c] - 1)) + 1) >> 1)
        scaled = scaled + np.where(scaled < 0, made.below_zero[c], 0) + made.offset[c]
        assert max(np.abs(part).max(), np.abs(scaled).max()) < 1 << 31
        ours = scaled >> made.shift[c]
        scaled = multiply_by_quantized_multiplier(
            sums + terms.bias[c], terms.multiplier[c], terms.shift[c]
        )
        expected = np.clip(scaled + terms.zero_point, terms.low, terms.high)
        np.testing.assert_array_equal(ours, expected)


def test_what_cannot_be_proven_is_left_to_the_portable_kernel() -> None:
    """A sum that wraps in TFLite, too."""
    terms = random_terms(rng_of("unproven"), 4)
    assert two_products(replace(terms, bias=np.full(4, 1 << 31)), np.full((4, 9), 100)) is None
