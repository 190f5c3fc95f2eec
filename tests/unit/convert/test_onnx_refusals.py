"""What the ONNX reader refuses, each with one sentence that names the culprit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.onnx_models import Onnx, random

from edgekit.convert.onnx_graph import read
from edgekit.errors import EdgekitError, InputError, UnsupportedError, UsageError


def small(**inputs: Any) -> Onnx:
    model = Onnx(**(inputs or {"x": (1, 3, 8, 8)}))
    y = model.node("Relu", model.node("Conv", "x", random(4, 3, 3, 3), random(4)))
    model.node("Gemm", model.node("Flatten", y), random(144, 5), random(5))
    return model


def refuse(kind: type[EdgekitError], match: str, source: Any, **options: Any) -> EdgekitError:
    with pytest.raises(kind, match=match) as caught:
        read(source, **options)
    assert str(caught.value).endswith("."), "a sentence"
    return caught.value


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"not a model", b"\xff" * 1000])
def test_other_files(data: bytes) -> None:
    refuse(EdgekitError, "not an ONNX model|not valid|opset", data)


def test_truncated_file() -> None:
    data = small().data()
    for length in range(0, len(data), len(data) // 40):
        with pytest.raises(EdgekitError):
            read(data[:length])


def test_missing_file(tmp_path: Path) -> None:
    refuse(InputError, "Cannot read .*absent.onnx", tmp_path / "absent.onnx")
    refuse(InputError, "Cannot read", tmp_path)


def test_weights_outside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(
        small().proto(), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert len(read(path).nodes) == 3
    refuse(InputError, "stored outside the ONNX file", path.read_bytes())
    (tmp_path / "weights.bin").unlink()
    refuse(InputError, "weights", path)


@pytest.mark.parametrize("version", [0, 6, 999])
def test_unknown_opsets(version: int) -> None:
    proto = small().proto()
    proto.opset_import[0].version = version
    refuse(UnsupportedError, f"opset {version}", proto.SerializeToString())


def test_cycles_and_missing_tensors() -> None:
    proto = small().proto()
    proto.graph.node[0].input[0] = proto.graph.node[-1].output[0]
    refuse(InputError, "topologically sorted", proto.SerializeToString())
    proto = small().proto()
    del proto.graph.initializer[0]
    refuse(InputError, "not valid.*constant0", proto.SerializeToString())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(value: float) -> None:
    model = small()
    model.constants["constant0"].flat[7] = value
    refuse(InputError, "node_conv0.*'constant0' hold values that are not finite", model.data())


def test_unsupported_node_is_named_with_what_is_supported() -> None:
    model = Onnx(x=(1, 3, 8, 8))
    model.node("Elu", "x")
    error = refuse(UnsupportedError, r"Node 'node_elu0' \(Elu\)", model.data())
    assert "Conv" in error.hint
    assert "Softmax" in error.hint


def test_other_domains_are_named() -> None:
    proto = small().proto()
    proto.graph.node[1].domain = "com.microsoft"
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    refuse(UnsupportedError, r"\(com.microsoft.Relu\)", proto.SerializeToString())


def test_quantized_model() -> None:
    model = Onnx(x=(1, 4))
    y = model.node("QuantizeLinear", "x", np.float32(0.1), np.int8(0))
    model.node("DequantizeLinear", y, np.float32(0.1), np.int8(0))
    refuse(UnsupportedError, "already quantized", model.data())


def test_loops_are_refused_by_name_though_only_their_bodies_read_the_input() -> None:
    model = Onnx(x=(1, 4))
    total = helper.make_tensor_value_info("total", TensorProto.FLOAT, [1, 4])
    going = helper.make_tensor_value_info("going", TensorProto.BOOL, [])
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["going"]),
            helper.make_node("Add", ["sum", "x"], ["total"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, 4]),
        ],
        [going, total],
    )
    model.node("Loop", np.int64(3), np.bool_(True), np.zeros((1, 4), np.float32), body=body)
    refuse(UnsupportedError, r"'node_loop0' \(Loop\): loops and branches", model.data())


def test_outputs_that_are_no_tensors_are_refused_by_their_node() -> None:
    """scikit-learn's classifiers give a map from labels to probabilities."""
    model = Onnx(x=(1, 4))
    model.node("ZipMap", "x", domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])
    proto = model.proto()
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    labels = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    proto.graph.output[0].type.CopyFrom(helper.make_sequence_type_proto(labels))
    refuse(UnsupportedError, r"\(ai.onnx.ml.ZipMap\)", proto.SerializeToString())


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8])
def test_inputs_that_are_not_float32(kind: int) -> None:
    proto = small().proto()
    proto.graph.input[0].type.tensor_type.elem_type = kind
    refuse(UnsupportedError, "edgekit reads float32", proto.SerializeToString())


def test_free_sizes() -> None:
    assert read(small(x=("N", 3, 8, 8)).data()).tensors["x"].shape == (1, 8, 8, 3)
    free = small(x=("N", 3, "H", "W")).data()
    assert "fixed size" in refuse(InputError, "no fixed shape", free).hint
    assert read(free, input_shape=(1, 3, 8, 8)).tensors["x"].shape == (1, 8, 8, 3)
    refuse(InputError, "not \\[1, 4, 8, 8\\]", free, input_shape=(1, 4, 8, 8))
    refuse(UnsupportedError, "batch of 4", small(x=(4, 3, 8, 8)).data())


def test_huge_shapes() -> None:
    refuse(UnsupportedError, "larger than 256 MiB", small(x=(1, 3, 2**30, 2**30)).data())
    model = Onnx(x=(1, 3))
    big = model.node("ConstantOfShape", np.array([2**20, 2**20], np.int64))
    model.node("Add", "x", big)
    refuse(UnsupportedError, "constant of 8,388,608 MiB", model.data())


def test_constants_that_double_each_other() -> None:
    """Each step is small, all of them together are terabytes."""
    model = Onnx(x=(1, 3))
    y = model.node("Concat", np.zeros(2**20, np.float32), np.zeros(2**20, np.float32), axis=0)
    for _ in range(20):
        y = model.node("Concat", y, y, axis=0)
    model.node("Add", "x", y)
    refuse(UnsupportedError, "from much smaller ones", model.data())


def test_constants_that_take_minutes() -> None:
    model = Onnx(x=(1, 3))
    matrix = np.zeros((2**12, 2**12), np.float32)
    model.node("Add", "x", model.node("MatMul", matrix, matrix))
    refuse(UnsupportedError, "take minutes", model.data())


@pytest.mark.parametrize(
    ("kind", "operands"),
    [
        ("RandomNormal", []),
        ("Range", [np.float32(0), np.float32(1e12), np.float32(1)]),
        ("HannWindow", [np.int64(2**40)]),
        ("Conv", [random(1, 2, 64, 64), random(2, 2, 3, 3)]),
    ],
)
def test_constants_that_exporters_do_not_leave(kind: str, operands: list[Any]) -> None:
    model = Onnx(x=(1, 3))
    attributes = {"shape": [2**20, 2**20]} if kind == "RandomNormal" else {}
    model.node("Add", "x", model.node(kind, *operands, **attributes))
    refuse(UnsupportedError, "not computed ahead of time", model.data())


def test_one_of_a_million_parts() -> None:
    model = Onnx(x=(1, 2**24))
    model.node("Slice", "x", *(np.array([n], np.int64) for n in (0, 1, 1)))
    refuse(UnsupportedError, "16,777,216 parts", model.data())


def test_more_nodes_than_any_network_has() -> None:
    model = Onnx(x=(1, 3))
    y = "x"
    for _ in range(5000):
        y = model.node("Sigmoid", y)
    refuse(UnsupportedError, "5,000 operators", model.data())


def test_an_average_over_a_huge_image_takes_no_memory() -> None:
    model = Onnx(x=(1, 1, 2**13, 2**13))
    model.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1] * 4)
    assert len(read(model.data()).nodes) == 1


def test_unknown_output() -> None:
    refuse(UsageError, "Unknown output 'logit'", small().data(), outputs=["logit"])


def test_nothing_computed() -> None:
    model = Onnx(x=(1, 3))
    model.node("Identity", random(1, 3))
    refuse(InputError, "computes nothing", model.data())


@pytest.mark.parametrize(
    ("kind", "operands", "attributes", "match"),
    [
        ("Conv", ["x", random(4, 2, 3, 3)], {}, "do not fit 3 channels"),
        ("Conv", ["x", random(4, 3, 9, 9)], {}, "does not fit into 8"),
        ("Conv", ["x", random(4, 3, 3, 3)], {"pads": [-1, 0, 0, 0]}, "negative"),
        ("Conv", ["x", random(4, 3, 3, 3)], {"strides": [0, 1]}, "strides"),
        ("MaxPool", ["x"], {"kernel_shape": [2, 2], "dilations": [2, 2]}, "dilated"),
        ("Gemm", ["x", random(9, 3)], {}, "do not fit its input"),
        ("Reshape", ["x", np.array([7, -1])], {}, "does not reshape"),
        ("Transpose", ["x"], {"perm": [0, 1, 2, 2]}, "permutation"),
        ("Split", ["x", np.array([1, 2])], {"axis": 1}, "unevenly"),
        ("Pad", ["x", np.array([0, 0, 1, 1, 0, 0, 1, 1])], {"mode": "reflect"}, "reflect"),
        ("Add", ["x", random(5, 1, 1)], {}, "do not broadcast"),
        ("Div", [random(3, 1, 1), "x"], {}, "divides by a computed tensor"),
        ("Cast", ["x"], {"to": TensorProto.FLOAT16}, "casts"),
        ("Squeeze", ["x", np.array([1])], {}, "not all 1"),
        ("Dropout", ["x", np.float32(0.5), np.bool_(True)], {}, "training mode"),
        ("ReduceMean", ["x"], {"axes": [4]}, "axis 4"),
    ],
)
def test_nodes_outside_what_tflite_says(
    kind: str, operands: list[Any], attributes: dict[str, Any], match: str
) -> None:
    model = Onnx(x=(1, 3, 8, 8))
    model.node(kind, *operands, outputs=2 if kind == "Split" else 1, **attributes)
    refuse(EdgekitError, match, model.data())
