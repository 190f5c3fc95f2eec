"""What is read from ONNX is compared with onnxruntime, in whatever layout the model is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.onnx_models import Onnx, random

from edgekit.convert.onnx_check import check_against_onnxruntime
from edgekit.convert.onnx_graph import read
from edgekit.convert.onnx_model import self_contained
from edgekit.errors import InputError, VerificationError


def check(model: Onnx, samples: np.ndarray | None = None) -> float:
    graph = read(model.data())
    shape = graph.tensors[graph.inputs[0]].shape
    given = random(3, *shape[1:]) if samples is None else samples
    return check_against_onnxruntime(model.data(), graph, given)


@pytest.mark.parametrize("size", [6, 3])  # with 3, all three axes are equal
def test_any_layout_of_input_and_output(size: int) -> None:
    model = Onnx(x=(1, 3, size, size))
    y = model.node("Conv", "x", random(size, 3, 3, 3), pads=[1] * 4)
    assert check(model) < 1e-5
    y = model.node("Transpose", y, perm=[0, 2, 3, 1])
    assert check(model) < 1e-5
    model.node("Softmax", y)
    assert check(model) < 1e-5


def test_one_dimensional() -> None:
    model = Onnx(x=(1, 4, 20))
    model.node("Relu", model.node("Conv", "x", random(6, 4, 5)))
    assert check(model) < 1e-5


def test_another_graph_is_told_apart() -> None:
    model, other = Onnx(x=(1, 4, 6, 6)), Onnx(x=(1, 4, 6, 6))
    model.node("Relu", "x")
    other.node("Sigmoid", "x")
    with pytest.raises(VerificationError, match="differs from onnxruntime"):
        check_against_onnxruntime(other.data(), read(model.data()), random(2, 6, 6, 4))
    pooled = Onnx(x=(1, 4, 6, 6))
    pooled.node("GlobalMaxPool", "x")
    with pytest.raises(VerificationError, match="by inf"):
        check_against_onnxruntime(pooled.data(), read(model.data()), random(2, 6, 6, 4))


def test_networks_that_compute_infinity() -> None:
    model = Onnx(x=(1, 8))
    model.node("Gemm", "x", np.full((8, 2), 1e38, np.float32), np.zeros(2, np.float32))
    with pytest.raises(InputError, match="computes NaN or infinity"), np.errstate(all="ignore"):
        check(model, np.full((1, 8), 100, np.float32))


def test_what_onnxruntime_cannot_run() -> None:
    model = Onnx(x=(1, 4, 6, 6))
    model.node("Relu", model.node("Squeeze", "x", np.int64(0)))
    with pytest.raises(InputError, match="onnxruntime"):
        check(model)


@pytest.mark.parametrize("high", [3.4028235e38, 1e30])
def test_clips_without_an_upper_bound(high: float) -> None:
    model = Onnx(x=(1, 4, 6, 6))
    model.node("Clip", "x", np.float32(0), np.float32(high))
    assert check(model) < 1e-6
    assert [node.op.tflite_name for node in read(model.data()).nodes] == ["RELU"]


def test_a_model_that_onnxruntime_dies_of() -> None:
    """A node that no output needs, with an empty input: release 1.31 reads a null pointer."""
    model = Onnx(x=(1, 4, 6, 6))
    model.node("Min", "x", None)
    model.node("Relu", "x")
    try:
        assert check(model) < 1e-6  # a release that has learned it
    except InputError as error:
        assert "onnxruntime" in str(error)


def test_weights_beside_the_file_are_brought_inside(tmp_path: Path) -> None:
    model = Onnx(x=(1, 4, 6, 6))
    model.node("Conv", "x", random(2, 4, 3, 3))
    path = tmp_path / "model.onnx"
    path.write_bytes(model.data())
    assert self_contained(path) == model.data()
    onnx.save_model(model.proto(), path, save_as_external_data=True, size_threshold=0)
    assert check_against_onnxruntime(self_contained(path), read(path), random(2, 6, 6, 4)) < 1e-5
