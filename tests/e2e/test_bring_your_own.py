"""Other people's models through the whole line: ONNX, TFLite, arrays instead of pictures."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.cli import Outcome, edgekit
from support.shared import shared_file

from edgekit.convert import tflite_reader
from edgekit.convert.tflite_model import mirrors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A bundle whose files serve as somebody's model."""
    folder = tmp_path_factory.mktemp("own") / "bundle"
    outcome = build("rpi", folder)
    assert outcome.code == 0, outcome.err
    return folder, json.loads(outcome.out)


def run(tmp_path: Path, *args: str | Path) -> Outcome:
    return edgekit("build", *args, "--json", cwd=tmp_path, cache=tmp_path / "cache")


def report_of(outcome: Outcome) -> dict:
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_an_onnx_file_gives_the_same_model_as_its_architecture(
    trained, photos: Path, tmp_path: Path
) -> None:
    folder, expected = trained
    pictures = ("--data", photos, "--mean", "128", "--std", "128", "--calibration-images", "10")
    report = report_of(
        run(tmp_path, "--model", folder / "model.onnx", *pictures, "--target", "rpi")
    )
    assert report["accuracy"] == expected["accuracy"]
    again = tmp_path / "build/model_rpi/model_int8.tflite"
    assert again.read_bytes() == (folder / "model_int8.tflite").read_bytes()


@pytest.mark.parametrize("target", ["c", "coral", "rpi", "tflm"])
def test_a_tflite_file_travels_unchanged(trained, tmp_path: Path, target: str) -> None:
    folder, _ = trained
    model = folder / "model_int8.tflite"
    report = report_of(run(tmp_path, "--model", model, "--target", target))
    assert report["accuracy"] is None
    assert report["verified"]["checked"] and report["verified"]["samples"] >= 2
    bundle = tmp_path / f"build/model_int8_{target}"
    assert (bundle / "model_int8.tflite").read_bytes() == model.read_bytes()


def test_labelled_pictures_give_a_tflite_file_its_accuracy(
    trained, photos: Path, tmp_path: Path
) -> None:
    folder, expected = trained
    pictures = ("--data", photos, "--calibration-images", "10")
    report = report_of(
        run(tmp_path, "--model", folder / "model_int8.tflite", *pictures, "--target", "rpi")
    )
    assert report["accuracy"]["int8_top1"] == expected["accuracy"]["int8_top1"]
    assert report["accuracy"]["float_top1"] is None


def test_embedding_leaves_the_classifier_out(trained, photos: Path, tmp_path: Path) -> None:
    folder, _ = trained
    pictures = ("--data", photos, "--calibration-images", "10")
    model = ("--model", folder / "model.onnx", "--embedding")
    report = report_of(run(tmp_path, *model, *pictures, "--target", "rpi"))
    assert "FULLY_CONNECTED" not in report["tflite"]["ops"]
    assert report["accuracy"] is None and report["fidelity_db"] > 0


def test_arrays_serve_networks_that_read_no_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (64, 40)).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    (tmp_path / "sensor.onnx").write_bytes(perceptron(rng).SerializeToString())
    model = ("--model", tmp_path / "sensor.onnx", "--samples", tmp_path / "samples.npy")
    report = report_of(run(tmp_path, *model, "--target", "tflm"))
    assert report["fidelity_db"] > 20
    assert report["verified"]["checked"]
    assert report["model"]["inputs"] == [[1, 40]]


def perceptron(rng: np.random.Generator) -> onnx.ModelProto:
    """40 -> 16 -> 4, as other frameworks export it."""

    def weights(name: str, *shape: int) -> TensorProto:
        return numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)

    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("Add", ["a", "b1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w2", "b2"], ["y"]),
    ]
    constants = [
        weights("w1", 40, 16), weights("b1", 16), weights("w2", 16, 4), weights("b2", 4)
    ]  # fmt: skip
    border = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", 40), ("y", 4))
    ]
    graph = helper.make_graph(nodes, "sensor", border[:1], border[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


FOREIGN = Path(__file__).resolve().parents[1] / "foreign/models"


@pytest.mark.parametrize("name", ["dense_on_sequence.any_batch", "tf210_dilated.any_batch"])
def test_what_a_file_computes_from_shapes_is_not_deployed(tmp_path: Path, name: str) -> None:
    """The resolver names the file's operators and the arena is enough for it."""
    model, bundle = FOREIGN / f"{name}.tflite", tmp_path / "bundle"
    report = report_of(run(tmp_path, "--model", model, "--target", "tflm", "--output", bundle))
    assert report["verified"]["checked"]
    assert any("written anew" in warning for warning in report["warnings"])
    graph = tflite_reader.read((bundle / "model_int8.tflite").read_bytes())
    assert mirrors((bundle / "model_int8.tflite").read_bytes(), graph)
    for command in (("emulate", bundle), ("compare-kernels", model, "--images", "1")):
        outcome = edgekit(*command, "--json", cwd=tmp_path, cache=tmp_path / "cache")
        assert outcome.code == 0, outcome.err


def test_a_sequence_of_three_channels_is_no_picture(tmp_path: Path) -> None:
    model = FOREIGN / "conv_1d.int8.tflite"
    report = report_of(run(tmp_path, "--model", model, "--target", "rpi"))
    assert report["model"]["inputs"] == [[1, 64, 3]] and report["verified"]["checked"]


def test_a_float_tflite_file_is_refused_by_its_first_float_node(tmp_path: Path) -> None:
    outcome = run(tmp_path, "--model", FOREIGN / "two_inputs.float.tflite", "--target", "rpi")
    assert outcome.code == 4
    assert "(CONV_2D) computes with float32" in outcome.err and ".onnx" in outcome.err


def test_a_legacy_uint8_model_is_verified_with_litert(tmp_path: Path) -> None:
    name = "mobilenet_v1_0.25_128_quant.tflite"
    (tmp_path / name).write_bytes(shared_file(f"coral/{name}"))
    report = report_of(run(tmp_path, "--model", tmp_path / name, "--target", "coral"))
    assert report["verified"]["checked"]
    assert report["verified"]["oracle"].startswith("ai-edge-litert ")


def test_the_real_wake_word_model(tmp_path: Path) -> None:
    (tmp_path / "vww.tflite").write_bytes(shared_file("models/vww_96_int8.tflite"))
    report = report_of(run(tmp_path, "--model", tmp_path / "vww.tflite", "--target", "tflm"))
    assert report["verified"]["checked"] and report["memory"]["arena_bytes"] == 100_720


def test_the_real_wake_word_model_as_a_c_program(tmp_path: Path) -> None:
    (tmp_path / "vww.tflite").write_bytes(shared_file("models/vww_96_int8.tflite"))
    options = ("--target", "c", "--board", "nucleo_f446re")
    report = report_of(run(tmp_path, "--model", tmp_path / "vww.tflite", *options))
    assert report["verified"]["checked"] and report["memory"]["arena_bytes"] <= 56_000
    assert report["fit"]["fits"] and report["firmware"]["was_run"] is False
    assert report["memory"]["code_is_measured"] == report["firmware"]["compiled"]
    bundle = tmp_path / "build" / "vww_c"
    assert "arena" in (bundle / "memory.svg").read_text()
    arena = f"#define EK_MODEL_ARENA_BYTES {report['memory']['arena_bytes']}\n"
    assert arena in (bundle / "model.h").read_text()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("--target", "rpi"), 2, "Name an architecture"),
        (("mobilenet_v1", "--model", "m.onnx", "--target", "rpi"), 2, "one of the two"),
        (("--model", "nowhere.onnx", "--target", "rpi"), 3, "nowhere.onnx"),
        (("--model", "notes.txt", "--target", "rpi"), 2, "Give .onnx or .tflite"),
        (
            ("--model", "torn.tflite", "--target", "rpi"),
            3,
            "torn.tflite: The model file is damaged",
        ),
        (("--model", "torn.onnx", "--target", "rpi"), 3, "ONNX"),
        (("--model", "torn.onnx", "--epochs", "3", "--target", "rpi"), 2, "--epochs"),
    ],
)
def test_mistakes_get_one_clear_error(tmp_path: Path, args, code, said) -> None:
    for name in ("notes.txt", "torn.tflite", "torn.onnx"):
        (tmp_path / name).write_bytes(b"\x18\0\0\0TFL3 torn")
    outcome = run(tmp_path, *args)
    assert outcome.code == code, outcome.err
    assert said in outcome.err and "Traceback" not in outcome.err
    assert not (tmp_path / "build").exists()
