"""`--max-drop`: a model made by hand, so that what int8 costs does not hang on a training."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import Outcome, edgekit
from support.onnx_models import Onnx

pytestmark = pytest.mark.slow

COLORS = ("red", "green", "blue")  # in the order of the channels; classes are in alphabetical order
PICTURES = 20  # of each class in each split
SIDE = 8


@pytest.fixture
def colors(tmp_path: Path) -> Path:
    """Pictures whose brightest channel, by far, is their class."""
    rng = np.random.default_rng(0)
    for split in ("train", "validation", "calibration", "test"):
        for channel, color in enumerate(COLORS):
            folder = tmp_path / "colors" / split / color
            folder.mkdir(parents=True)
            for number in range(PICTURES):
                pixels = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
                pixels[..., channel] += 190
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "colors"


def classifier(weight_of_nothing: float) -> bytes:
    """A network that answers with the brightest channel.

    Args:
        weight_of_nothing: in the last layer, of a feature that is zero for every picture. No float
            result depends on it; but the matrix has one scale for all its integers, so that beside
            a huge weight all others become zero.
    """
    features = np.vstack([np.eye(3), np.zeros(3)]).astype(np.float32)[..., None, None]
    bias = np.array([0, 0, 0, -1], np.float32)
    scores = np.hstack([np.eye(3)[::-1], np.full((3, 1), weight_of_nothing)]).astype(np.float32)
    model = Onnx(picture=(1, 3, SIDE, SIDE))
    x = model.node("Relu", model.node("Conv", "picture", features, bias))
    x = model.node("Flatten", model.node("GlobalAveragePool", x))
    model.node("Gemm", x, scores, np.zeros(3, np.float32), transB=1)
    return model.data()


def build(colors: Path, max_drop: str, weight_of_nothing: float) -> Outcome:
    place = colors.parent
    (place / "colors.onnx").write_bytes(classifier(weight_of_nothing))
    model = ("--model", "colors.onnx", "--data", colors, "--calibration-images", "20")
    options = ("--target", "tflm", "--max-drop", max_drop, "-o", "bundle", "--json")
    return edgekit("build", *model, *options, cwd=place, cache=place / "cache")


@pytest.mark.parametrize(("max_drop", "weight_of_nothing"), [("1", 1.0), ("100", 1e4)])
def test_a_drop_within_the_bound_passes(
    colors: Path, max_drop: str, weight_of_nothing: float
) -> None:
    outcome = build(colors, max_drop, weight_of_nothing)
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["gate"]["passed"] is True and report["gate"]["max_drop"] == float(max_drop)
    assert report["accuracy"]["float_top1"] == 100


def test_a_larger_drop_keeps_and_marks_the_bundle(colors: Path) -> None:
    outcome = build(colors, "1", 1e4)
    assert outcome.code == 6, outcome.err
    report = json.loads((colors.parent / "bundle/report.json").read_text())
    assert report["gate"]["passed"] is False and report["gate"]["split"] == "validation"
    assert report["gate"]["drop"] == pytest.approx(200 / 3)  # what is left is one class for all
    assert "kept and marked" in outcome.err and "66.67 points" in outcome.err
