"""`--repair`, from the command line to the bundle: models made by hand, nothing trained."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.cli import Outcome, edgekit
from support.onnx_models import Onnx

pytestmark = pytest.mark.slow

SIDE, CHANNELS = 8, 3
RUNGS = "better-ranges,equalization,bias-correction"


def model() -> bytes:
    """Weights of which most are a small fraction of the largest: int8 rounds them all one way."""
    random = np.random.default_rng(0)
    first = random.normal(0, 0.3, (8, CHANNELS, 3, 3)).astype(np.float32)
    second = np.full((8, 8, 3, 3), 1.45 / 127, np.float32)
    second[:, 0, 0, 0] = 1
    net = Onnx(picture=(1, CHANNELS, SIDE, SIDE))
    x = net.node("Relu", net.node("Conv", "picture", first, np.full(8, 0.1, np.float32)))
    x = net.node("Relu", net.node("Conv", x, second, np.zeros(8, np.float32)))
    x = net.node("Flatten", net.node("GlobalAveragePool", x))
    scores = random.normal(0, 1, (5, 8)).astype(np.float32)
    net.node("Gemm", x, scores, np.zeros(5, np.float32), transB=1)
    return net.data()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "net.onnx").write_bytes(model())
    samples = np.random.default_rng(1).normal(0, 1, (40, SIDE, SIDE, CHANNELS))
    np.save(tmp_path / "samples.npy", samples.astype(np.float32))
    return tmp_path


def build(place: Path, *options: str, model: str = "net.onnx") -> Outcome:
    arguments = ("--model", model, "--samples", "samples.npy", "--target", "tflm", "--json")
    return edgekit("build", *arguments, *options, cwd=place, cache=place / "cache")


def test_the_report_shows_the_ladder_and_the_layers(place: Path) -> None:
    outcome = build(place, f"--repair={RUNGS}", "-o", "bundle")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    steps = report["repair"]
    assert [step["rung"] for step in steps] == ["ptq", *RUNGS.split(",")]
    kept = [step for step in steps if step["kept"]]
    assert kept[-1]["rung"] == "bias-correction"
    assert kept[-1]["sqnr_db"] > kept[0]["sqnr_db"] + 3
    assert report["repair_on"] == {"split": "held out", "images": 10}
    assert report["verified"]["checked"] is True
    assert report["layers"] and report["suspects"]
    assert (place / "bundle/layers.svg").read_text().startswith("<svg")
    shown = edgekit("show", "bundle", "--layers", cwd=place, cache=place / "cache")
    assert shown.code == 0, shown.err


def test_the_same_repair_gives_the_same_bundle(place: Path) -> None:
    manifests = []
    for name in ("a", "b"):
        outcome = build(place, "--repair=bias-correction", "-o", name)
        assert outcome.code == 0, outcome.err
        manifests.append((place / name / "manifest.json").read_text())
    assert manifests[0] == manifests[1]


def test_without_repair_nothing_changes(place: Path) -> None:
    for name, options in (("plain", ()), ("minmax", ("--calibration", "minmax"))):
        outcome = build(place, *options, "-o", name)
        assert outcome.code == 0, outcome.err
    plain, minmax = ((place / n / "manifest.json").read_text() for n in ("plain", "minmax"))
    assert plain == minmax
    assert "repair" not in json.loads((place / "plain/report.json").read_text())


@pytest.mark.parametrize("method", ["auto", "mse", "kl", "percentile", "average"])
def test_every_calibration_gives_a_verified_bundle(place: Path, method: str) -> None:
    outcome = build(place, "--calibration", method, "-o", "bundle")
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["verified"]["checked"] is True


def test_what_cannot_be_repaired(place: Path) -> None:
    assert build(place, "-o", "bundle").code == 0
    (place / "ready.tflite").write_bytes((place / "bundle/model_int8.tflite").read_bytes())
    for options in (("--repair",), ("--diagnose",)):
        outcome = build(place, *options, "-o", "other", model="ready.tflite")
        assert outcome.code == 2, outcome.err
        assert "float network" in outcome.err
        assert not (place / "other").exists()


def test_a_rung_that_does_not_exist(place: Path) -> None:
    outcome = build(place, "--repair=bias-corection", "-o", "bundle")
    assert outcome.code == 2
    assert "bias-correction" in outcome.err
