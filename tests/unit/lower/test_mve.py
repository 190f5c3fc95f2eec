"""The kernels for MVE: exact by their portable twins, on QEMU, and by proof."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder
from support.op_cases import rng_of

from edgekit.graph.fixedpoint import multiply_by_quantized_multiplier
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.reference.layer import IntegerTerms
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.one_step import reachable
from edgekit.lower.top_byte import top_byte

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


def kernels(graph: Graph) -> tuple[str, ...]:
    return lower(graph, Isa.MVE).kernel_names


@needs_compiler
@pytest.mark.parametrize(
    ("cases", "kernel"),
    [(convolutions, "ek_conv_mve"), (depthwise_convolutions, "ek_depthwise_mve")],
)
def test_twins_are_bit_exact(
    cases: Callable[[np.random.Generator], Iterator[Graph]], kernel: str, tmp_path: Path
) -> None:
    rng = rng_of("mve", kernel)
    graphs = list(cases(rng))
    fast = [graph for graph in graphs if kernel in kernels(graph)]
    assert len(fast) > len(graphs) // 2
    assert_c_equals_reference(fast, tmp_path, rng, isa=Isa.MVE)
