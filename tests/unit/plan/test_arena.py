import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet, single_op_graphs

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.emulate.tflm import smallest_arena
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation, Opaque
from edgekit.plan import boards
from edgekit.plan.arena import activation_buffers, build_for, plan_arena
from edgekit.plan.tflm_memory import EVAL_TENSOR, HOST, TENSOR, TflmBuild, size_of

SHARED = Path(os.environ.get("EDGEKIT_SHARED", Path(__file__).resolve().parents[4] / "shared"))
VWW = SHARED / "models" / "vww_96_int8.tflite"
CORTEX_M4 = TflmBuild(kernels="cmsis-nn", simd="dsp")
CORTEX_M55 = TflmBuild(kernels="cmsis-nn", simd="mve")

needs_vww = pytest.mark.skipif(not VWW.exists(), reason=f"{VWW.name} is not in EDGEKIT_SHARED")
needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)


def random_net(seed: int) -> Graph:
    """A classifier with two to eight random blocks."""
    random, b = np.random.default_rng(seed), GraphBuilder(seed=seed)
    side = int(random.choice([8, 12, 16, 24]))
    x = b.input("x", (1, side, side, int(random.choice([1, 3]))), b.int8(0.02, -3))
    x = b.conv(x, int(random.integers(2, 17)), (3, 3), stride=(2, 2), activation=Activation.RELU)
    for i in range(int(random.integers(1, 7))):
        x = random_block(random, b, x, i)
    axes = b.ints("axes", [1, 2])
    x = b.add(ops.Mean(), x, axes) if random.random() < 0.5 else b.flatten(x)
    x = b.fully_connected(x, int(random.integers(2, 200)))
    return b.build(b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)))


def random_block(random: np.random.Generator, b: GraphBuilder, x: str, i: int) -> str:
    channels, side = b.tensors[x].shape[3], b.tensors[x].shape[1]
    match int(random.integers(0, 7)):
        case 0:
            return b.conv(b.depthwise(x, (3, 3)), int(random.integers(2, 25)), (1, 1))
        case 1:
            return b.add(ops.Add(), x, b.conv(x, channels, (3, 3)))
        case 2:
            y = b.conv(x, 4, (1, 1), quantization=b.tensors[x].quantization)
            return b.add(ops.Concatenation(axis=3), x, y)
        case 3 if side >= 2:
            return b.add(ops.MaxPool2D((2, 2), (2, 2)), x)
        case 4:
            paddings = b.ints(f"paddings{i}", [[0, 0], [1, 1], [1, 1], [0, 0]])
            return b.add(ops.Pad(), x, paddings)
        case 5:
            y = b.add(ops.Mean(keep_dims=True), x, b.ints(f"axes{i}", [1, 2]))
            y = b.add(ops.Logistic(), y, quantization=b.int8(1 / 256, -128))
            return b.add(ops.Mul(), x, y)
        case _:
            return b.add(ops.HardSwish(), b.depthwise(x, (5, 5)), quantization=b.int8(0.03))


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
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_prediction_holds_for_random_networks(seed: int) -> None:
    graph = random_net(seed)
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


@needs_vww
@pytest.mark.parametrize(
    ("build", "measured_bytes", "predicted_bytes"),
    [(CORTEX_M4, 100_708, 100_736), (CORTEX_M55, 100_772, 100_800)],
    ids=["m4", "m55"],
)
def test_prediction_for_chips_is_never_below_and_hardly_above(
    build: TflmBuild, measured_bytes: int, predicted_bytes: int
) -> None:
    """Measured: TFLM with CMSIS-NN on Cortex-M4 and M55 under QEMU, arena_used_bytes()."""
    assert plan_arena(read(VWW.read_bytes()), build).arena_bytes == predicted_bytes
    assert measured_bytes <= predicted_bytes <= 1.001 * measured_bytes


@needs_vww
@needs_wheel
def test_prediction_for_the_host_is_exact_on_a_real_model() -> None:
    graph = read(VWW.read_bytes())
    assert plan_arena(graph, HOST).arena_bytes == smallest_arena(VWW.read_bytes())


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
        ("arduino_nano_33_ble", TflmBuild(kernels="cmsis-nn", simd="dsp")),
        ("rpi_pico", TflmBuild(kernels="cmsis-nn")),
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
