import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_graphs import random_graph
from support import mlperf_tiny
from support.graphs import GraphBuilder, convnet
from support.mobilenet_v3 import mobilenet_v3_small
from support.shared import shared_file

from edgekit.convert.tflite_reader import read, read_offsets
from edgekit.convert.tflite_writer import write
from edgekit.emulate import litert, tflm
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Op
from edgekit.plan import boards
from edgekit.plan.arena import activation_buffers, plan_arena
from edgekit.plan.in_place import groups
from edgekit.plan.offline import plan_for, plan_offline
from edgekit.plan.tflm_memory import HOST, TflmBuild

CORTEX_M4 = TflmBuild(kernels="cmsis-nn", simd="dsp", short_enums=True)
CORTEX_M55 = TflmBuild(kernels="cmsis-nn", simd="mve", short_enums=True)
needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)


def samples(graph: Graph, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    tensors = [graph.tensors[name] for name in graph.inputs]
    return [
        random.normal(0, 2, t.shape).astype(np.float32)
        if t.dtype is DType.FLOAT32
        else random.integers(-128, 128, t.shape).astype(np.int8)
        for t in tensors
    ]


def same(one: Sequence[np.ndarray[Any, Any]], other: Sequence[np.ndarray[Any, Any]]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def gated(repeats: int = 1) -> Graph:
    """x * logistic(conv(x)), then hard swish: every node but the convolution can work in place."""
    b = GraphBuilder("gated")
    x = b.input("x", (1, 12, 12, 8), b.int8(0.05, 1))
    for i in range(repeats):
        y = b.conv(x, 8, (3, 3), name=f"conv_{i}", quantization=b.int8(0.05, 2))
        y = b.add(ops.Logistic(), y, name=f"gate_{i}", quantization=b.int8(1 / 256, -128))
        x = b.add(ops.Mul(), x, y, name=f"mul_{i}", quantization=b.int8(0.04, 3))
        x = b.add(ops.HardSwish(), x, name=f"swish_{i}", quantization=b.int8(0.03, -2))
    return b.build(x)


@needs_wheel
def test_visual_wake_words_needs_a_quarter_less() -> None:
    graph = read(shared_file("models/vww_96_int8.tflite"))
    offsets = plan_offline(graph, HOST)
    plain, planned = write(graph), write(graph, offsets)
    assert tflm.smallest_arena(plain) == plan_arena(graph, HOST).arena_bytes == 103_680
    plan = plan_arena(graph, HOST, offsets)
    assert tflm.smallest_arena(planned) == plan.arena_bytes == 85_248
    assert plan.activations_bytes == plan.peak_bytes == 55_296
    assert same(tflm.run(plain, samples(graph)), tflm.run(planned, samples(graph)))


def test_visual_wake_words_on_a_cortex_m55() -> None:
    graph = read(shared_file("models/vww_96_int8.tflite"))
    assert plan_arena(graph, CORTEX_M55).arena_bytes == 100_784
    plan = plan_arena(graph, CORTEX_M55, plan_offline(graph, CORTEX_M55))
    assert plan.arena_bytes == 82_352


def network(name: str) -> Graph:
    if name.startswith("MobileNetV3"):
        return mobilenet_v3_small(int(name.split()[1]))
    return read(shared_file(name))


@pytest.mark.parametrize(
    ("name", "before", "after", "activations"),
    [
        ("models/vww_96_int8.tflite", 100_720, 82_288, 55_296),
        # uint8, which TFLM cannot run, but with the int8 network's memory
        ("coral/mobilenet_v1_0.25_128_quant.tflite", 166_096, 133_328, 98_304),
        ("MobileNetV3-Small 96", 167_136, 158_032, 64_624),
        ("MobileNetV3-Small 224", 494_816, 444_752, 351_344),
    ],
)
def test_the_table_of_the_documentation(
    name: str, before: int, after: int, activations: int
) -> None:
    graph = network(name)
    assert plan_arena(graph, CORTEX_M4).arena_bytes == before
    plan = plan_arena(graph, CORTEX_M4, plan_offline(graph, CORTEX_M4))
    assert plan.arena_bytes == after
    assert plan.activations_bytes == plan.peak_bytes == activations
    page = (Path(__file__).resolve().parents[3] / "docs" / "memory.md").read_text("utf-8")
    assert f"| {before:,} | {after:,} | {(before - after) / before:.0%}".replace("%", " %") in page
    assert f"| {activations:,} | all |" in page


@pytest.mark.parametrize("make", [mlperf_tiny.image_classification, mlperf_tiny.keyword_spotting])
def test_nothing_is_planned_where_tflm_is_at_the_bound(make: Callable[[], Graph]) -> None:
    graph = make()
    assert plan_offline(graph, CORTEX_M4) == {}
    plan = plan_arena(graph, CORTEX_M4)
    assert plan.activations_bytes == plan.peak_bytes


@needs_wheel
@pytest.mark.slow
def test_a_large_network_computes_the_same_in_the_arena_predicted() -> None:
    graph = mobilenet_v3_small(96)
    offsets = plan_offline(graph, HOST)
    planned = write(graph, offsets)
    assert tflm.smallest_arena(planned) == plan_arena(graph, HOST, offsets).arena_bytes
    assert same(tflm.run(write(graph), samples(graph)), tflm.run(planned, samples(graph)))


def saves(seed: int) -> bool:
    graph = random_graph(seed, nodes=18)
    return bool(plan_offline(graph, HOST))


@needs_wheel
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 250))
def test_planned_graphs_compute_the_same_in_the_arena_predicted(seed: int) -> None:
    graph = random_graph(seed, nodes=18)
    offsets = plan_offline(graph, HOST)
    plan = plan_arena(graph, HOST, offsets)
    if not offsets:
        assert plan == plan_arena(graph, HOST)
        return
    assert plan.activations_bytes < plan_arena(graph, HOST).activations_bytes
    planned = write(graph, offsets)
    assert tflm.smallest_arena(planned) == plan.arena_bytes
    assert same(tflm.run(write(graph), samples(graph)), tflm.run(planned, samples(graph)))


def test_planning_helps_a_good_part_of_random_graphs() -> None:
    assert sum(map(saves, range(200, 220))) >= 6


@needs_wheel
def test_element_wise_nodes_overwrite_their_inputs() -> None:
    graph = gated(3)
    apart, offsets = plan_offline(graph, HOST, in_place=False), plan_offline(graph, HOST)
    size = 12 * 12 * 8
    assert offsets["conv_0"] == offsets["gate_0"]
    assert offsets["x"] == offsets["mul_0"] == offsets["swish_0"]
    assert plan_arena(graph, HOST, apart).activations_bytes == 3 * size
    plan = plan_arena(graph, HOST, offsets)
    assert plan.activations_bytes == plan.peak_bytes == 2 * size
    assert tflm.smallest_arena(write(graph, offsets)) == plan.arena_bytes
    for seed in range(3):
        values = samples(graph, seed)
        assert same(tflm.run(write(graph), values), tflm.run(write(graph, offsets), values))


ELEMENT_WISE = [ops.Relu(), ops.HardSwish(), ops.Logistic(), ops.Relu6(), ops.Quantize()]


@needs_wheel
@pytest.mark.parametrize("op", ELEMENT_WISE, ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("shape", [(1, 5, 7, 3), (1, 33)])
def test_each_unary_op_computes_the_same_in_place(op: Op, shape: tuple[int, ...]) -> None:
    b = GraphBuilder()
    x = b.input("x", shape, b.int8(0.05, 1))
    q = b.int8(1 / 256, -128) if isinstance(op, ops.Logistic) else b.int8(0.05, 1)
    y = b.add(op, x, dtype=DType.INT8, quantization=q)
    check_in_place(b.build(y), 1)


@needs_wheel
@pytest.mark.parametrize("op", [ops.Add(), ops.Sub(), ops.Mul()], ids=lambda op: type(op).__name__)
@pytest.mark.parametrize("other", [(1, 5, 7, 3), (1, 1, 1, 3), (1, 5, 1, 1), (1,)])
@pytest.mark.parametrize("swapped", [False, True])
def test_each_binary_op_computes_the_same_in_place(
    op: Op, other: tuple[int, ...], swapped: bool
) -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 5, 7, 3), b.int8(0.05, 1))
    y = b.input("y", other, b.int8(0.03, -9))
    operands = (y, x) if swapped else (x, y)
    z = b.add(op, *operands, shape=(1, 5, 7, 3), quantization=b.int8(0.06, 2))
    check_in_place(b.build(z), 2)


@needs_wheel
def test_views_compute_the_same_in_place() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2), b.int8(0.05, 1))
    y = b.add(ops.Reshape(), x, b.ints("shape", [1, 16, 2, 1]))
    z = b.add(ops.Squeeze((3,)), y)
    w = b.add(ops.ExpandDims(), z, b.ints("axis", [2]))
    check_in_place(b.build(w), 1)


def check_in_place(graph: Graph, places: int) -> None:
    """All activations in so many places, and nevertheless the same results."""
    found = groups_of(graph)
    assert len(found) == places
    offsets = {buffer.name: 112 * i for i, group in enumerate(found) for buffer in group}
    for seed in range(4):
        values = samples(graph, seed)
        planned = tflm.run(write(graph, offsets), values)
        assert same(tflm.run(write(graph), values), planned)


def groups_of(graph: Graph) -> list[Any]:
    return groups(graph, activation_buffers(graph))


def test_tensors_that_are_still_needed_do_not_give_way() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2), b.int8(0.05, 1))
    read_later = b.add(ops.Relu6(), x, name="read_later")
    also_out = b.add(ops.Relu6(), read_later, name="also_out")
    y = b.add(ops.Add(), read_later, also_out, name="y")
    end = b.add(ops.Mul(), y, also_out, name="end")
    graph = b.build(end, also_out)
    names = [[buffer.name for buffer in group] for group in groups_of(graph)]
    assert names == [["x", "read_later", "y", "end"], ["also_out"]]


def test_other_sizes_and_other_ops_do_not_share() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2))
    y = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.05, 1))
    z = b.depthwise(y, (3, 3))
    w = b.add(ops.Dequantize(), z, dtype=DType.FLOAT32)
    assert [len(group) for group in groups_of(b.build(w))] == [1, 1, 1, 1]


@needs_wheel
def test_other_runtimes_ignore_the_plan() -> None:
    graph = gated(2)
    plain, planned = write(graph), write(graph, plan_offline(graph, HOST))
    assert planned != plain
    for kernels in litert.Kernels:
        values = samples(graph)
        assert same(litert.run(plain, values, kernels), litert.run(planned, values, kernels))


def test_the_plan_survives_reading_and_writing() -> None:
    graph = gated(2)
    offsets = plan_offline(graph, CORTEX_M4)
    file = write(graph, offsets)
    assert read_offsets(file) == offsets
    assert write(read(file), read_offsets(file)) == file


def test_nothing_is_planned_where_it_saves_nothing() -> None:
    b = GraphBuilder()
    x = b.conv(b.input("x", (1, 8, 8, 3), b.int8(0.05)), 4, (3, 3))
    assert plan_offline(b.build(b.conv(x, 8, (1, 1))), CORTEX_M4) == {}


def test_room_is_left_for_scratch_buffers() -> None:
    """Each kernel library asks for other scratch buffers; the plan is never worse than TFLM's."""
    for seed in range(12):
        graph = random_graph(seed, nodes=16)
        for build in (CORTEX_M4, CORTEX_M55):
            plan = plan_arena(graph, build, plan_offline(graph, build))
            assert plan.activations_bytes <= plan_arena(graph, build).activations_bytes


@pytest.mark.parametrize(("board", "shares"), [("nucleo_f446re", True), ("esp32_s3", False)])
def test_tensors_share_their_place_only_on_known_kernels(board: str, shares: bool) -> None:
    graph = gated(3)
    offsets, arena = plan_for(graph, boards.load(board))
    assert arena == plan_arena(graph, arena.build, offsets)
    assert (arena.offsets["x"] == arena.offsets["mul_0"]) == shares
    assert plan_for(convnet(), boards.load(board)) == plan_for(convnet(), boards.load(board))
