"""What the writer puts into the file, seen through the schema's own reader and two runtimes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet, single_op_graphs

from edgekit.convert.tflite_options import ROWS
from edgekit.convert.tflite_writer import DATA_ALIGNMENT, write
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Array, Graph
from edgekit.graph.ops import Activation, Padding

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

GRAPHS = {
    f"{name}-{'int8' if quantized else 'float'}": graph
    for quantized in (True, False)
    for name, graph in {**single_op_graphs(quantized), "convnet": convnet(quantized)}.items()
}


def model(graph: Graph) -> Any:
    return schema.ModelT.InitFromPackedBuf(write(graph))


def inputs(graph: Graph, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    values: list[Array] = []
    for tensor in map(graph.tensors.__getitem__, graph.inputs):
        if tensor.quantization is None:
            values.append(rng.normal(0, 1, tensor.shape).astype(np.float32))
        else:
            values.append(rng.integers(-128, 128, tensor.shape).astype(np.int8))
    return values


def run_litert(data: bytes, values: list[Array]) -> list[Array]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=data, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def run_tflm(data: bytes, values: list[Array], outputs: int) -> list[Array]:
    runtime = pytest.importorskip("tflite_micro.python.tflite_micro.runtime")
    interpreter = runtime.Interpreter.from_bytes(data)
    for index, value in enumerate(values):
        interpreter.set_input(value, index)
    interpreter.invoke()
    return [interpreter.get_output(index) for index in range(outputs)]


@pytest.mark.parametrize("name", GRAPHS)
def test_both_runtimes_load_it_and_agree(name: str) -> None:
    graph = GRAPHS[name]
    data, values = write(graph), inputs(graph)
    litert = run_litert(data, values)
    tflm = run_tflm(data, values, len(graph.outputs))
    assert [value.shape for value in litert] == [graph.tensors[o].shape for o in graph.outputs]
    for a, b in zip(litert, tflm, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 if a.dtype == np.float32 else 1)
        assert a.max() > a.min()


def test_float_values_are_those_of_numpy() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 5))
    w = b.constant("w", np.arange(15, dtype=np.float32).reshape(3, 5) / 10)
    bias = b.constant("b", np.array([0.5, -1, 2], np.float32))
    y = b.add(ops.FullyConnected(Activation.RELU), x, w, bias)
    b.add(ops.Softmax(2.0), y)
    graph = b.build()
    (value,) = inputs(graph)
    weights, offset = (graph.tensors[name].data for name in (w, bias))
    assert weights is not None and offset is not None
    logits = 2 * np.maximum(value @ weights.T + offset, 0)
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(run_litert(write(graph), [value])[0], expected, rtol=1e-5)


def test_same_graph_same_bytes_whatever_the_order_of_the_mapping() -> None:
    graph = convnet()
    shuffled = replace(graph, tensors=dict(reversed(list(graph.tensors.items()))))
    assert write(graph) == write(convnet()) == write(shuffled)


def test_data_lies_on_16_byte_boundaries_of_the_file() -> None:
    data = write(convnet())
    root = schema.Model.GetRootAs(data)
    starts = []
    for index in range(root.BuffersLength()):
        buffer = root.Buffers(index)
        if buffer.DataLength():
            table = buffer._tab
            starts.append(table.Vector(table.Offset(4)))
    assert len(starts) > 8
    assert all(start % DATA_ALIGNMENT == 0 for start in starts)


def test_first_buffer_is_empty_and_constants_are_stored_once() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4))
    same = np.array([1, 2, 3, 4], np.float32)
    y = b.add(ops.Add(), x, b.constant("a", same))
    b.add(ops.Mul(), y, b.constant("c", same.copy()))
    written = model(b.build())
    assert [buffer.data is None for buffer in written.buffers] == [True, False]
    used = {tensor.name: tensor.buffer for tensor in written.subgraphs[0].tensors}
    assert used == {b"x": 0, b"a": 1, b"c": 1, b"add_0": 0, b"mul_1": 0}


def test_header_and_border() -> None:
    data = write(convnet())
    written = schema.ModelT.InitFromPackedBuf(data)
    assert data[4:8] == b"TFL3" and written.version == 3
    assert written.description == b"edgekit"
    subgraph = written.subgraphs[0]
    assert subgraph.name == b"convnet"
    assert [subgraph.tensors[i].name for i in subgraph.inputs] == [b"image"]
    assert [subgraph.tensors[i].name for i in subgraph.outputs] == [b"probabilities"]
    (signature,) = written.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert signature.inputs[0].name == b"image"
    assert signature.outputs[0].tensorIndex == subgraph.outputs[0]


VERSIONS_INT8 = {
    "conv": 3,
    "conv_grouped": 6,
    "depthwise": 3,
    "depthwise_dilated": 3,
    "fully_connected": 4,
    "fully_connected_keep_dims": 5,
    "fully_connected_no_bias": 6,
    "average_pool": 2,
    "max_pool": 2,
    "mean": 2,
    "add": 2,
    "sub": 2,
    "mul": 2,
    "concatenation": 2,
    "pad": 2,
    "pad_v2": 2,
    "softmax": 2,
    "logistic": 2,
    "hard_swish": 1,
    "relu": 2,
    "relu6": 2,
    "reshape": 1,
    "squeeze": 1,
    "expand_dims": 1,
    "transpose": 2,
    "split": 2,
    "quantize": 1,
    "dequantize": 2,
}
VERSIONS_FLOAT = {
    **dict.fromkeys(VERSIONS_INT8, 1),
    "conv_grouped": 6,
    "depthwise_dilated": 2,
    "fully_connected_keep_dims": 5,
    "fully_connected_no_bias": 6,
    "dequantize": 2,
}


@pytest.mark.parametrize("name", VERSIONS_INT8)
def test_operator_versions(name: str) -> None:
    for graph, versions in ((f"{name}-int8", VERSIONS_INT8), (f"{name}-float", VERSIONS_FLOAT)):
        node = GRAPHS[graph].nodes[-1]
        codes = {code.builtinCode: code.version for code in model(GRAPHS[graph]).operatorCodes}
        assert codes[ROWS[type(node.op)].code] == versions[name], graph


def test_version_of_a_mul_that_scales_up() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4), b.int8(1.5))
    b.add(ops.Mul(), x, x, quantization=b.int8(2.0))
    assert model(b.build()).operatorCodes[0].version == 3


def test_one_operator_code_an_op_with_the_highest_version() -> None:
    b = GraphBuilder()
    x = b.conv(b.input("x", (1, 4, 4, 4), b.int8(0.1)), 4, (1, 1), groups=2)
    b.conv(x, 4, (1, 1))
    (code,) = model(b.build()).operatorCodes
    assert (code.builtinCode, code.deprecatedBuiltinCode, code.version) == (3, 3, 6)


def test_numbers_of_every_operator_and_options_table() -> None:
    for kind, row in ROWS.items():
        name = ops.TFLITE_NAMES[kind]
        assert row.code == getattr(schema.BuiltinOperator, name)
        if row.table:
            assert row.union == getattr(schema.BuiltinOptions, row.table)
    assert ROWS.keys() == ops.TFLITE_NAMES.keys()


def options(build: Callable[[GraphBuilder, str], str]) -> dict[str, Any]:
    b = GraphBuilder()
    build(b, b.input("x", (1, 8, 8, 4)))
    return dict(vars(model(b.build()).subgraphs[0].operators[-1].builtinOptions))


def test_options_of_windows_keep_height_and_width_apart() -> None:
    conv = options(
        lambda b, x: b.conv(
            x, 2, (2, 2), stride=(1, 2), padding=Padding.VALID, activation=Activation.RELU_N1_TO_1
        )
    )
    assert (conv["strideH"], conv["strideW"]) == (1, 2)
    assert conv["padding"] == schema.Padding.VALID
    assert conv["fusedActivationFunction"] == schema.ActivationFunctionType.RELU_N1_TO_1
    depthwise = options(lambda b, x: b.depthwise(x, (2, 2), multiplier=3, dilation=(2, 3)))
    assert (depthwise["dilationHFactor"], depthwise["dilationWFactor"]) == (2, 3)
    assert depthwise["depthMultiplier"] == 3
    pool = options(lambda b, x: b.add(ops.MaxPool2D((2, 3), (3, 4)), x))
    assert (pool["filterHeight"], pool["filterWidth"]) == (2, 3)
    assert (pool["strideH"], pool["strideW"]) == (3, 4)


def test_per_channel_scales_and_their_dimension() -> None:
    written = model(GRAPHS["depthwise-int8"])
    tensors = {tensor.name.decode(): tensor for tensor in written.subgraphs[0].tensors}
    graph = GRAPHS["depthwise-int8"]
    weights, bias = graph.nodes[0].inputs[1:]
    for name, dimension in ((weights, 3), (bias, 0)):
        expected = graph.tensors[name].quantization
        assert expected is not None
        np.testing.assert_array_equal(tensors[name].quantization.scale, expected.scales)
        assert not tensors[name].quantization.zeroPoint.any()
        assert tensors[name].quantization.quantizedDimension == dimension
    assert tensors["x"].quantization.zeroPoint.tolist() == [5]


def test_opaque_ops_are_refused_by_name() -> None:
    b = GraphBuilder()
    b.add(ops.Opaque("RESIZE_BILINEAR", 23), b.input("x", (1, 4, 4, 1)), shape=(1, 8, 8, 1))
    with pytest.raises(UnsupportedError, match="RESIZE_BILINEAR"):
        write(b.build())
