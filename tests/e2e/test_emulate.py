"""The commands that run a bundle, on finished bundles of every target."""

import json
from pathlib import Path

import pytest
from PIL import Image
from support.cli import Outcome, edgekit

from edgekit.convert.tflite_reader import read
from edgekit.graph.execute import run as run_graph
from edgekit.preprocessing import Preprocessing

pytestmark = pytest.mark.slow


def run(tmp_path: Path, *args: str | Path) -> Outcome:
    return edgekit(*args, cwd=tmp_path, cache=tmp_path / "cache")


def test_a_bundle_does_what_its_build_promised(bundle, photos: Path, tmp_path: Path) -> None:
    folder, built = bundle
    outcome = run(tmp_path, "emulate", folder, "--json")
    assert outcome.code == 0, outcome.err
    found = json.loads(outcome.out)
    assert found["faults"] == [] and found["golden"]["differing"] == 0
    assert found["engine"]["exact"] or built["target"] not in ("c", "tflm")
    assert found["board_arena_bytes"] == built["memory"]["arena_bytes"]

    outcome = run(tmp_path, "emulate", folder, "--split", "test", "--data", photos, "--json")
    assert outcome.code == 0, outcome.err
    counts = json.loads(outcome.out)["agreement"]
    accuracy = 100 * counts["reference_hits"] / counts["labelled"]
    assert counts["labelled"] == built["accuracy"]["images"]
    assert accuracy == pytest.approx(built["accuracy"]["int8_top1"])


def test_predictions_for_a_folder(bundle, photos: Path, tmp_path: Path) -> None:
    folder, _ = bundle
    outcome = run(tmp_path, "predict", folder, photos, "--top", "1", "--json")
    assert outcome.code == 0, outcome.err
    found = {one["input"]: one["top"][0]["label"] for one in json.loads(outcome.out)["predictions"]}
    pictures = sorted(photos.rglob("*.png"))
    assert sorted(map(Path, found)) == pictures
    manifest = json.loads((folder / "manifest.json").read_text())
    contract = Preprocessing.from_json(manifest["provenance"]["preprocessing"])
    inputs = contract.quantize(contract.stack([Image.open(path) for path in pictures]))
    (scores,) = run_graph(read((folder / "model_int8.tflite").read_bytes()), [inputs])
    labels = (folder / "labels.txt").read_text().split("\n")
    assert [found[str(path)] for path in pictures] == [labels[best] for best in scores.argmax(1)]


def test_mistakes_have_their_exit_codes(bundle, photos: Path, tmp_path: Path) -> None:
    folder, _ = bundle
    (tmp_path / "text.jpg").write_text("no picture")
    for code, args in (
        (2, ("emulate", folder, "--split", "nonsense")),
        (2, ("emulate", folder, "--images", tmp_path / "missing")),
        (3, ("emulate", tmp_path)),
        (3, ("predict", folder, tmp_path / "text.jpg")),
        (3, ("compare-kernels", tmp_path / "missing.tflite")),
    ):
        outcome = run(tmp_path, *args)
        assert outcome.code == code, (args, outcome.err)
        assert "Traceback" not in outcome.err
