import importlib.util
from collections.abc import Callable
from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from random_graphs import random_graph
from support import mlperf_tiny
from support.graphs import GraphBuilder, convnet, single_op_graphs
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.emulate.tflm import smallest_arena
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Quantization
from edgekit.graph.ops import Opaque
from edgekit.plan import boards
from edgekit.plan.arena import activation_buffers, build_for, plan_arena
from edgekit.plan.tflm_memory import EVAL_TENSOR, HOST, TENSOR, TflmBuild, align, size_of

CORTEX_M4 = TflmBuild(kernels="cmsis-nn", simd="dsp", short_enums=True)
CORTEX_M55 = TflmBuild(kernels="cmsis-nn", simd="mve", short_enums=True)

needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)


def test_structures_have_the_sizes_of_the_headers() -> None:
    assert size_of(EVAL_TENSOR, HOST) == 24
    assert size_of(EVAL_TENSOR, TflmBuild()) == 12
    assert size_of(TENSOR, HOST) == 64
    assert size_of(TENSOR, TflmBuild()) == 40
    assert size_of("b i b", TflmBuild()) == 12
    assert size_of("i X", TflmBuild()) == 4
    assert size_of("i X", HOST) == 16
    assert size_of("", HOST) == 0


@needs_wheel
@pytest.mark.parametrize("name", ["fully_connected", "mean", "conv", "concatenation"])
def test_prediction_for_the_host_is_what_the_interpreter_needs(name: str) -> None:
    graph = single_op_graphs(quantized=True)[name]
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


@needs_wheel
@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in single_op_graphs(True) if n != "mean"])
def test_prediction_holds_for_every_op(name: str) -> None:
    graph = single_op_graphs(quantized=True)[name]
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


@needs_wheel
@pytest.mark.parametrize("seed", [3, 5])
def test_prediction_is_exact_for_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


@needs_wheel
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 124))
def test_prediction_is_exact_for_many_random_graphs(seed: int) -> None:
    graph = random_graph(seed)
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


@needs_wheel
@pytest.mark.parametrize("keep_dims", [False, True])
def test_dense_layers_with_scales_per_channel_keep_a_factor_for_each(keep_dims: bool) -> None:
    graph = scaled_per_channel(keep_dims)
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


def scaled_per_channel(keep_dims: bool) -> Graph:
    b = GraphBuilder("per_channel")
    b.fully_connected(b.input("x", (1, 80, 8), b.int8(0.05, 3)), 20, "y", keep_dims=keep_dims)
    for name in ("y/weights", "y/bias"):
        scales = np.resize(b.tensors[name].quantization.scales, 20)  # type: ignore[union-attr]
        q = Quantization.per_channel(scales, 0)
        b.tensors[name] = replace(b.tensors[name], quantization=q)
    return b.build()


@needs_wheel
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean", "conv", "fully_connected", "softmax", "add"])
def test_prediction_is_exact_for_float_graphs(name: str) -> None:
    graph = single_op_graphs(quantized=False)[name]
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


@needs_wheel
def test_planning_itself_decides_for_many_small_tensors() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4), b.int8(0.1))
    for _ in range(60):
        x = b.add(ops.Relu6(), x)
    plan = plan_arena(b.build(x), HOST)
    assert plan.setup_bytes > plan.activations_bytes + plan.persistent_bytes
    assert plan.arena_bytes == smallest_arena(write(b.build(x)))


@pytest.mark.parametrize(
    ("model", "m4_bytes", "m55_bytes"),
    [
        ("visual_wake_words", 100_708, 100_772),
        ("image_classification", 54_996, 55_028),
        ("keyword_spotting", 22_820, 27_348),
        ("anomaly_detection", 2_580, 9_268),
    ],
)
def test_prediction_for_chips_is_exact(model: str, m4_bytes: int, m55_bytes: int) -> None:
    """Measured: arena_used_bytes() of TFLM with CMSIS-NN on Cortex-M4 and M55 under QEMU."""
    if model == "visual_wake_words":
        graph = read(shared_file("models/vww_96_int8.tflite"))
    else:
        graph = getattr(mlperf_tiny, model)()
    for build, measured_bytes in ((CORTEX_M4, m4_bytes), (CORTEX_M55, m55_bytes)):
        plan = plan_arena(graph, build)
        assert plan.used_bytes == measured_bytes
        assert plan.arena_bytes == max(align(measured_bytes, 16), align(plan.setup_bytes, 16))


@needs_wheel
@pytest.mark.parametrize(
    "make",
    [
        mlperf_tiny.anomaly_detection,
        mlperf_tiny.keyword_spotting,
        mlperf_tiny.image_classification,
    ],
)
def test_prediction_for_the_host_is_exact_on_mlperf_tiny(make: Callable[[], Graph]) -> None:
    """The autoencoder's arena is what setting up takes: more than what is used afterwards."""
    graph = make()
    plan = plan_arena(graph, HOST)
    assert plan.arena_bytes == smallest_arena(write(graph))
    assert (plan.setup_bytes > plan.used_bytes) == (make is mlperf_tiny.anomaly_detection)


def test_enums_of_one_byte_make_structures_smaller() -> None:
    assert size_of("ee bb e", CORTEX_M4) == 5
    assert size_of("ee bb e", TflmBuild()) == 16
    assert size_of(TENSOR, CORTEX_M4) == 32


@needs_wheel
@pytest.mark.parametrize("seed", [7, 37])
def test_ties_are_broken_in_the_order_of_the_file(seed: int) -> None:
    """The same tensors in another order need another arena; both are predicted."""
    graph = random_graph(seed, nodes=20)
    file = with_tensors_reversed(write(graph))
    found = read(file)
    plan = plan_arena(found, HOST, order=tuple(found.tensors))
    assert plan.arena_bytes == smallest_arena(file)
    assert plan.arena_bytes != plan_arena(graph, HOST).arena_bytes == smallest_arena(write(graph))


def with_tensors_reversed(file: bytes) -> bytes:
    """The same model with its tensors numbered from the other end."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytearray(file), 0))
    graph = model.subgraphs[0]
    last = len(graph.tensors) - 1
    graph.tensors = graph.tensors[::-1]
    graph.inputs, graph.outputs = last - graph.inputs, last - graph.outputs
    for operator in graph.operators:
        operator.inputs, operator.outputs = last - operator.inputs, last - operator.outputs
    model.signatureDefs = []
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


@needs_wheel
def test_prediction_for_the_host_is_exact_on_a_real_model() -> None:
    file = shared_file("models/vww_96_int8.tflite")
    graph = read(file)
    assert list(graph.tensors) != [t.name for t in activation_buffers(graph)]
    plan = plan_arena(graph, HOST, order=tuple(graph.tensors))
    assert plan.arena_bytes == smallest_arena(file) == 103_680


def test_plan_names_the_peak_and_places_every_activation() -> None:
    graph = convnet()
    plan = plan_arena(graph, TflmBuild())
    activations = {t.name: t for t in graph.tensors.values() if not t.is_constant}
    assert set(plan.offsets) == set(activations)
    for name, offset in plan.offsets.items():
        assert offset % 16 == 0
        assert offset + activations[name].size_bytes <= plan.activations_bytes
    assert plan.peak_node in {node.name for node in graph.nodes}
    assert plan.peak_bytes <= plan.activations_bytes
    assert plan.arena_bytes % 16 == 0


def test_outputs_live_to_the_end_and_inputs_from_the_start() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4), b.int8(0.1))
    early = b.add(ops.Relu(), x)
    late = b.add(ops.Relu6(), early)
    spans = {t.name: (t.first, t.last) for t in activation_buffers(b.build(early, late))}
    assert spans == {"x": (0, 1), early: (1, 2), late: (2, 2)}


def test_cmsis_nn_asks_for_scratch_where_the_reference_kernels_do_not() -> None:
    graph = single_op_graphs(quantized=True)["conv"]
    reference, dsp = (plan_arena(graph, build) for build in (TflmBuild(), CORTEX_M4))
    assert dsp.activations_bytes == reference.activations_bytes + 2 * 2 * (3 * 2 * 4)


@pytest.mark.parametrize(
    ("board", "build"),
    [
        ("arduino_nano_33_ble", CORTEX_M4),
        ("rpi_pico", TflmBuild(kernels="cmsis-nn", short_enums=True)),
        ("esp32_s3", TflmBuild()),
    ],
)
def test_build_follows_the_core(board: str, build: TflmBuild) -> None:
    assert build_for(boards.load(board)) == build


def test_unknown_ops_are_refused_by_name() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4), b.int8(0.1))
    graph = b.build(b.add(Opaque("ARG_MAX", 56), x, shape=(1,)))
    with pytest.raises(UnsupportedError, match="ARG_MAX"):
        plan_arena(graph, HOST)
