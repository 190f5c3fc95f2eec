"""Reading what the writer writes, and real models that others made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.graphs import GraphBuilder, assert_same_graph, convnet, single_op_graphs
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation

GRAPHS = {
    f"{name}-{'int8' if quantized else 'float'}": graph
    for quantized in (True, False)
    for name, graph in {**single_op_graphs(quantized), "convnet": convnet(quantized)}.items()
}


@pytest.mark.parametrize("name", GRAPHS)
def test_round_trip(name: str) -> None:
    data = write(GRAPHS[name])
    graph = read(data)
    assert_same_graph(graph, GRAPHS[name])
    assert write(graph) == data


def test_nodes_are_named_after_their_outputs() -> None:
    assert [node.name for node in read(write(convnet())).nodes][:2] == ["stem", "block/depthwise"]


def test_constants_are_views_of_the_file_and_read_only() -> None:
    graph = read(write(convnet()))
    weights = graph.tensors["stem/weights"].data
    assert weights is not None
    assert weights.base is not None
    assert not weights.flags.writeable


def test_empty_constants_survive() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 1, 1))
    b.add(ops.Reshape(), x, b.ints("scalar_shape", []))
    graph = read(write(b.build()))
    assert graph.tensors["scalar_shape"].shape == (0,)
    assert graph.tensors[graph.outputs[0]].shape == ()


def run_tflm(data: bytes, value: Any) -> Any:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(data)
    interpreter.set_input(value, 0)
    interpreter.invoke()
    return interpreter.get_output(0)


def run_litert(data: bytes, value: Any) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], value)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_visual_wake_words_unchanged_on_tflite_micro() -> None:
    data = shared_file("models/vww_96_int8.tflite")
    graph = read(data)
    assert [type(node.op) for node in graph.nodes[-3:]] == [
        ops.Reshape,
        ops.FullyConnected,
        ops.Softmax,
    ]
    again = write(graph)
    rng = np.random.default_rng(0)
    for _ in range(3):
        value = rng.integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
        np.testing.assert_array_equal(run_tflm(again, value), run_tflm(data, value))


@pytest.mark.parametrize(("name", "side"), [("0.25_128", 128), ("0.5_160", 160)])
def test_legacy_uint8_mobilenet_unchanged_on_litert(name: str, side: int) -> None:
    data = shared_file(f"coral/mobilenet_v1_{name}_quant.tflite")
    graph = read(data)
    assert len(graph.nodes) == 31
    assert graph.tensors["input"].dtype is DType.UINT8
    stem = graph.nodes[0]
    assert stem.op == ops.Conv2D(stride=(2, 2), activation=Activation.RELU6)
    value = np.random.default_rng(0).integers(0, 256, (1, side, side, 3)).astype(np.uint8)
    np.testing.assert_array_equal(run_litert(write(graph), value), run_litert(data, value))


def read_deeplab() -> Graph:
    name = "coral/deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite"
    return read(shared_file(name), allow_opaque=True)


def test_deeplab_keeps_what_it_does_not_know_as_opaque() -> None:
    graph = read_deeplab()
    opaque = [node.op for node in graph.nodes if isinstance(node.op, ops.Opaque)]
    assert [op.tflite_name for op in opaque] == [
        "TILE",
        "RESIZE_BILINEAR",
        "RESIZE_BILINEAR",
        "ARG_MAX",
    ]
    assert opaque[-1].builtin_code == 56
    assert len(graph.nodes) == 84


def test_deeplab_is_refused_by_name_without_leave() -> None:
    data = shared_file("coral/deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite")
    with pytest.raises(UnsupportedError, match="Operator 76, TILE, which writes 'Tile'"):
        read(data)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v1_0.25_128_quant", ["edgetpu-custom-op"]),
        ("mobilenet_v1_0.5_160_quant", ["edgetpu-custom-op"]),
        (
            "deeplab_mobilenet_edgetpu_slim_cityscapes_quant",
            ["edgetpu-custom-op", "RESIZE_BILINEAR", "ARG_MAX"],
        ),
    ],
)
def test_what_the_edgetpu_compiler_made(name: str, expected: list[str]) -> None:
    graph = read(shared_file(f"coral/{name}_edgetpu.tflite"), allow_opaque=True)
    assert [node.op.tflite_name for node in graph.nodes] == expected
