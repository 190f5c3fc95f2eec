"""Layers in stripes of rows: the bits of the whole layers, by the same kernels."""

import operator
from pathlib import Path

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder
from support.op_cases import rng_of
from support.striped import random_network, random_stripes, striped

from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Padding
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.program import Constant, Kernel, Program
from edgekit.lower.stripes import Band, Rows, in_stripes, layer
from edgekit.plan.static_memory import plan_memory

VALID = {"padding": Padding.VALID}
KINDS = (
    "conv",
    "pointwise",
    "depthwise",
    "depthwise 5x5",
    "max",
    "average",
    "table",
    "sum",
    "product",
)


def one_layer(kind: str, height: int) -> Graph:
    b = GraphBuilder(kind)
    x = b.input("x", (1, height, 10, 8), b.int8(0.05, 3))
    make = {
        "conv": lambda: b.conv(x, 8, (3, 3), stride=(2, 2), **VALID),
        "pointwise": lambda: b.conv(x, 8, (1, 1), **VALID),
        "depthwise": lambda: b.depthwise(x, (3, 3), **VALID),
        "depthwise 5x5": lambda: b.depthwise(x, (5, 5), **VALID),
        "max": lambda: b.add(ops.MaxPool2D((2, 2), (2, 2)), x),
        "average": lambda: b.add(ops.AveragePool2D((3, 3)), x),
        "table": lambda: b.add(ops.HardSwish(), x, quantization=b.int8(0.05, 1)),
        "sum": lambda: b.add(ops.Add(), x, x, quantization=b.int8(0.1, 1)),
        "product": lambda: b.add(
            ops.Mul(),
            x,
            b.constant("c", np.arange(8, dtype=np.int8), b.int8(0.1, 1)),
            quantization=b.int8(0.1, 1),
        ),
    }
    return b.build(make[kind]())


def plain(kernel: Kernel) -> dict[str, object]:
    return {
        field: value.data.tobytes() if isinstance(value, Constant) else value
        for field, value in kernel.parameters.items()
    }


@pytest.mark.parametrize("isa", Isa)
@pytest.mark.parametrize("kind", KINDS)
def test_a_stripe_is_the_layer_of_a_lower_image(kind: str, isa: Isa) -> None:
    """Parameters, constants and scratch are those of a lowering for so many rows."""
    tall, small = (layer(lower(one_layer(kind, height), isa), 0) for height in (23, 9))
    assert tall is not None and small is not None
    smalls = {way.kernels[0].name: way.kernels[0] for way in small.ways}
    assert {way.kernels[0].name for way in tall.ways} == set(smalls)
    for way in tall.ways:
        made, expected = tall.kernel(way, Band(9, small.height, 0)), smalls[way.kernels[0].name]
        assert plain(made) == plain(expected)
        assert made.scratch_bytes == expected.scratch_bytes
        assert all(map(operator.is_, made.constants, way.kernels[0].constants))


@pytest.mark.parametrize("isa", Isa)
def test_a_kernel_that_needs_more_rows_gives_way_in_all_stripes(isa: Isa) -> None:
    """A 3x3 depthwise layer in stripes of one row: ek_depthwise_3x3_dsp makes two at least."""
    program = lower(one_layer("depthwise", 23), isa)
    one = layer(program, 0)
    assert one is not None
    for height in (1, 2, 4, 7):
        rows = Rows((one,), height)
        least = min(height, one.height % height or height)
        striped_program = in_stripes(program, [rows])
        names = {call.kernel.name for call in striped_program.calls()}
        assert names == {striped_program.steps[0].kernels[0].name}
        assert rows.ways[0].least_rows <= least
        assert rows.ways[0] is next(way for way in one.ways if way.least_rows <= least)
        scratch = [call.kernel.scratch_bytes or 0 for call in striped_program.calls()]
        assert plan_memory(striped_program).scratch_bytes.get(0, 0) >= max(scratch)


@needs_compiler
@pytest.mark.parametrize("isa", Isa)
def test_stripes_are_bit_exact(isa: Isa, tmp_path: Path) -> None:
    graphs = [random_network(seed) for seed in range(10)]
    graphs += [one_layer(kind, 13) for kind in KINDS]
    assert_c_equals_reference(
        graphs, tmp_path, rng_of("stripes", isa.value), samples=2, isa=isa, lowering=striped
    )


def program_of(*layers: tuple[int, dict[str, object]]) -> Program:
    b = GraphBuilder()
    x = b.input("x", (1, 16, 16, 4), b.int8(0.05, 1))
    for outputs, window in layers:
        x = b.conv(x, outputs, (3, 3), **window)
    return lower(b.build(x))


def test_no_row_is_computed_twice_and_none_is_left_out() -> None:
    for seed in range(20):
        program = random_stripes(lower(random_network(seed)), seed)
        made = {}
        for call in program.calls():
            if call.made_bytes:
                rows = made.setdefault(call.step, [])
                assert call.begin == sum(rows)
                rows.append(call.made_bytes)
        for step, rows in made.items():
            output = program.steps[step].node.outputs[0]
            assert sum(rows) == program.graph.tensors[output].size_bytes


def test_between_layers_only_lines_are_kept() -> None:
    program = program_of((8, {}), (8, {}))
    layers = tuple(layer(program, index) for index in range(2))
    lines = Rows(layers, 1).lines["conv_2d_0"]
    assert lines.size_bytes == 3 * 16 * 8 and lines.are_kept
    assert Rows(layers, 4).lines["conv_2d_0"].size_bytes == 6 * 16 * 8


def test_equal_stripes_are_a_loop_and_share_their_parameters() -> None:
    program = program_of((8, {}), (8, {"stride": (2, 2)}))
    layers = tuple(layer(program, index) for index in range(2))
    stripes = in_stripes(program, [Rows(layers, 1)]).stripes[0]
    assert max(loop.turns for loop in stripes.loops) == 6
    kernels = {id(call.kernel) for call in stripes.calls() if call.made_bytes}
    assert len(kernels) <= 6
    whole = program.weights_bytes
    assert in_stripes(program, [Rows(layers, 1)]).weights_bytes == whole


def test_the_output_follows_the_input_at_a_distance() -> None:
    """3x3 at stride 1: row y reads up to row y - 1, which row y + 1 reads for the last time."""
    program = program_of((4, {}))
    rows = Rows((layer(program, 0),), 1)
    assert rows.distance_bytes("x") == 2 * 16 * 4
    half = Rows((layer(program_of((4, {"stride": (2, 2)})), 0),), 1)
    assert half.distance_bytes("x") == 8 * 4
