"""`edgekit build --weights`: a checkpoint for other classes becomes a network for these."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from safetensors.torch import load_file

from edgekit.models.module import build as build_module
from edgekit.models.registry import resolve

pytestmark = pytest.mark.slow


def weights(folder: Path, classes: int) -> Path:
    torch.manual_seed(0)
    module = build_module(resolve("mobilenet_v1", 0.25, resolution=32, classes=classes))
    path = folder / f"for_{classes}.pth"
    torch.save({"state_dict": module.state_dict()}, path)
    return path


def test_a_new_classifier_is_trained_on_a_frozen_backbone(
    build, cache: Path, tmp_path: Path
) -> None:
    path = weights(tmp_path, 5)
    options = ("--weights", str(path), "--freeze-backbone", "--epochs", "2")
    outcome = build("rpi", tmp_path / "bundle", *options)
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert report["model"]["padding"] == "torch"
    assert report["weights"]["file"] == "for_5.pth"
    assert report["weights"]["transfer"]["epochs"] == 2
    assert report["weights"]["transfer"]["recipe"]["freeze_backbone"] is True
    said = " ".join(report["warnings"])
    assert "its classifier is for 5 classes, not 3" in said and "--padding torch" in said
    kept = max(cache.glob("checkpoints/*/weights-*"), key=lambda file: file.stat().st_mtime)
    before, after = torch.load(path, weights_only=True)["state_dict"], load_file(kept)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_matching_weights_are_used_as_they_are(build, tmp_path: Path) -> None:
    options = ("--weights", str(weights(tmp_path, 3)), "--padding", "same")
    outcome = build("rpi", tmp_path / "bundle", *options)
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    assert "transfer" not in report["weights"] and report["model"]["padding"] == "same"
    assert any("--epochs is for --fine-tune" in warning for warning in report["warnings"])


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--fine-tune",), 2, "--fine-tune goes on from weights"),
        (("--freeze-backbone",), 2, "--freeze-backbone goes on from weights"),
        (("--weights", "imagenet"), 2, "No ImageNet weights of mobilenet_v1"),
        (("--weights", "none.tflite"), 3, "none.tflite cannot be read"),
    ],
)
def test_what_cannot_work(
    build, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    outcome = build("rpi", tmp_path / "bundle", *options)
    assert outcome.code == code and said in outcome.err
    assert not (tmp_path / "bundle").exists()
