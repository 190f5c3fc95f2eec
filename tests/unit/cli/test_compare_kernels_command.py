"""`edgekit compare-kernels` on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundle_cases import invoke, report
from support.graphs import GraphBuilder, convnet
from support.shared import shared_file

from edgekit.cli.compare_kernels import compare_kernels
from edgekit.convert.tflite_writer import write
from edgekit.errors import InputError, UsageError, VerificationError
from edgekit.graph import ops
from edgekit.graph.reference import evaluate


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.tflite"
    path.write_bytes(write(convnet()))
    return path


def by_engine(found: dict) -> dict:
    return {engine["engine"]: engine for engine in found["engines"]}


@pytest.mark.slow
def test_pictures_under_every_engine(model: Path) -> None:
    found = report(compare_kernels, model, "--images", "4")
    engines = by_engine(found)
    assert found["samples"] == 4 and found["inputs"].startswith("test pictures of")
    assert list(engines) == ["tflm", "litert-reference", "litert-xnnpack"]
    assert engines["tflm"]["exact"] and engines["tflm"]["top1_flips"] == 0
    assert len(engines["litert-xnnpack"]["layers"]) == len(found["layers"]) == 10
    said = invoke(compare_kernels, model, "--images", "4", "--quiet").stdout
    assert "TFLite Micro (tflite-micro" in said and "DEPTHWISE_CONV_2D" in said
    assert said == invoke(compare_kernels, model, "--images", "4", "--quiet").stdout


def test_the_visual_wake_words_model(tmp_path: Path) -> None:
    path = tmp_path / "vww.tflite"
    path.write_bytes(shared_file("models/vww_96_int8.tflite"))
    found = by_engine(report(compare_kernels, path, "--images", "2"))
    assert found["tflm"]["exact"] and found["litert-reference"]["exact"]
    xnnpack = found["litert-xnnpack"]
    assert xnnpack["first_difference"] == 0
    # The first layer errs by itself, by one step in one of a thousand values.
    first = xnnpack["layers"][0]
    assert first["largest"] == 1 and first["differing"] == first["off_by_one"] < 400
    assert max(layer["largest"] for layer in xnnpack["layers"]) > 1


def test_arrays_and_random_numbers(tmp_path: Path) -> None:
    b = GraphBuilder("vector")
    x = b.input("x", (1, 12), b.int8(0.05, 3))
    path = tmp_path / "vector.tflite"
    path.write_bytes(write(b.build(b.fully_connected(x, 3))))
    found = report(compare_kernels, path, "--images", "5", "--seed", "1", "--isolated")
    assert found["mode"] == "isolated" and found["inputs"] == "random samples of seed 1"
    assert by_engine(found)["tflm"]["exact"]
    np.save(tmp_path / "x.npy", np.zeros((9, 12), np.float32))
    found = report(compare_kernels, path, "--samples", tmp_path / "x.npy")
    assert found["samples"] == 9 and found["inputs"] == "samples of x.npy"
    with pytest.raises(UsageError, match="no picture"):
        invoke(compare_kernels, path, "--data", "embedded")
    with pytest.raises(UsageError, match="contradict"):
        invoke(compare_kernels, path, "--data", "embedded", "--samples", tmp_path / "x.npy")


def test_an_engine_that_refuses_is_named(tmp_path: Path) -> None:
    """LiteRT wants a bias for every convolution; TFLite Micro does without."""
    b = GraphBuilder("biasless")
    x = b.input("x", (1, 6, 6, 2), b.int8(0.05))
    y = b.conv(x, 3, (3, 3))
    node = b.nodes.pop()
    b.nodes.append(type(node)(node.name, node.op, node.inputs[:2], node.outputs))
    path = tmp_path / "biasless.tflite"
    path.write_bytes(write(b.build(y)))
    found = by_engine(report(compare_kernels, path, "--images", "1"))
    assert found["tflm"]["exact"] and "refuses" in found["litert-reference"]["not_run"]
    said = invoke(compare_kernels, path, "--images", "1").stdout
    assert "LiteRT, reference kernels: not run." in said


def test_arithmetic_that_is_not_tflite_micro_s_fails(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def off_by_one(call):
        (value,) = evaluate(call)
        return (value + 1,) if isinstance(call.node.op, ops.Pad) else (value,)

    monkeypatch.setattr("edgekit.graph.execute.evaluate", off_by_one)
    with pytest.raises(VerificationError, match="in layer 4") as caught:
        invoke(compare_kernels, model, "--images", "1")
    assert caught.value.exit_code == 9


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        invoke(compare_kernels, tmp_path / "missing.tflite")
    (tmp_path / "text.tflite").write_text("hello, this is text")
    with pytest.raises(InputError, match="not a TFLite model"):
        invoke(compare_kernels, tmp_path / "text.tflite")
