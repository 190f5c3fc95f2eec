"""Bundles of networks that other people trained, for each target that can run them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.bundles import run_py, written
from support.cxx import CXX, STRICT, STUBS, needs_compiler, shell
from support.deployments import bare_deployment, picture_contract
from support.shared import shared_file

from edgekit.backends.base import Deployment, read_golden
from edgekit.backends.tflm import BACKEND
from edgekit.convert.tflite_reader import read
from edgekit.emit.bundle import read_bundle
from edgekit.emulate import litert
from edgekit.report.evaluate import network_input

VWW = "models/vww_96_int8.tflite"
MOBILENET = "coral/mobilenet_v1_0.25_128_quant.tflite"
LABELS = {VWW: ("no person", "person"), MOBILENET: None}


def made(model: str, board: str) -> Deployment:
    file = shared_file(model)
    graph = read(file)
    contract = picture_contract(graph.tensors[graph.inputs[0]])
    name, labels = Path(model).stem, LABELS[model]
    return bare_deployment(
        board, graph, tflite=file, preprocessing=contract, name=name, labels=labels, onnx=None
    )


@pytest.mark.parametrize("model", [VWW, MOBILENET])
@pytest.mark.parametrize("board", ["raspberry_pi_5", "coral_dev_board"])
def test_pictures_are_classified_as_litert_does(model: str, board: str, tmp_path: Path) -> None:
    deployment = made(model, board)
    contract = deployment.preprocessing
    assert contract is not None
    folder = written(tmp_path / "b", deployment)
    photo = Image.fromarray(np.random.default_rng(3).integers(0, 256, (70, 90, 3), np.uint8))
    photo.save(tmp_path / "x.png")
    said = run_py(folder, tmp_path / "x.png", "--json", "--top", 2, "--threads", 1)
    assert said.returncode == 0, said.stderr
    pixels = contract.pixels(photo)[None]
    (expected,) = litert.run(deployment.tflite, [network_input(deployment.graph, contract, pixels)])
    q = deployment.outputs[0].quantization
    assert q is not None
    scores = q.scale * (expected.reshape(-1).astype(float) - q.zero_point)
    top = json.loads(said.stdout)["top"]
    assert [entry["score"] for entry in top] == np.sort(scores)[::-1][:2].tolist()
    labels = deployment.labels or [str(i) for i in range(1001)]
    assert [entry["label"] for entry in top] == [labels[entry["class"]] for entry in top]
    result = json.loads(run_py(folder, "--verify", "--json").stdout)
    assert result["vectors"] == result["agree"] == 4


def test_the_bundle_gives_back_what_went_in(tmp_path: Path) -> None:
    deployment = made(MOBILENET, "raspberry_pi_5")
    bundle = read_bundle(written(tmp_path / "b", deployment))
    assert bundle.read("model_int8.tflite") == shared_file(MOBILENET)
    golden = read_golden(bundle)
    assert golden.inputs[0].dtype == golden.outputs[0].dtype == np.uint8
    np.testing.assert_array_equal(golden.outputs[0], deployment.golden.outputs[0])


@needs_compiler
@pytest.mark.slow
def test_firmware_of_a_real_network_passes_its_self_test(tmp_path: Path) -> None:
    """Linked with a stub of the interpreter that answers with the golden outputs."""
    deployment = made(VWW, "nucleo_h743zi")
    BACKEND.check(deployment)
    folder = written(tmp_path / "b", deployment)
    stub = STUBS / "tensorflow/lite/micro/micro_interpreter.cc"
    sources = (folder / "main.cc", folder / "model_data.cc", stub)
    shell(CXX, *STRICT, "-I", STUBS, "-I", folder, *sources, "-o", tmp_path / "self_test")
    lines = shell(tmp_path / "self_test").splitlines()
    assert len(lines) == 4  # arena, two vectors, verdict
    assert lines[1].startswith("golden vector 0: exact, ") and lines[-1] == "self test: PASSED"
