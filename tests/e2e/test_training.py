"""`edgekit train` as a user runs it, alone and with a second process."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from PIL import Image
from safetensors.torch import load_file
from support.cli import edgekit

NETWORK = ("mobilenet_v1", "--alpha", "0.25", "--resolution", "32", "--data", "photos")
QUICK = ("--epochs", "1", "--quiet")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for level, label in enumerate(("dark", "light")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(20):
            pixels = rng.integers(0, 100, (16, 16, 3), np.uint8) + np.uint8(50 * level)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{number}.png")
    return tmp_path


@pytest.mark.slow
@pytest.mark.skipif(find_spec("lightning_fabric") is None, reason="needs edgekit[distributed]")
def test_two_processes_speak_once_and_write_the_weights_of_one(photos: Path) -> None:
    alone = edgekit("train", *NETWORK, *QUICK, "--json", cwd=photos, cache=photos / "one")
    assert alone.code == 0, alone.err
    report = json.loads(alone.out)
    assert report["checkpoint"] == "build/mobilenet_v1_0.25_32.safetensors"
    options = ("--devices", "2", "-o", "two.safetensors")
    both = edgekit("train", *NETWORK, *QUICK, *options, cwd=photos, cache=photos / "two")
    assert both.code == 0, both.err
    assert both.out.splitlines() == [
        f"test top-1: {report['test']['top1']:.2f} % of 8 images",
        "checkpoint: two.safetensors",
    ]
    assert both.err == ""
    one, two = load_file(photos / report["checkpoint"]), load_file(photos / "two.safetensors")
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, rtol=1e-4, atol=1e-5, msg=key)


@pytest.mark.slow
def test_a_student_is_built_from_a_teacher_that_was_trained(photos: Path) -> None:
    teacher = edgekit(
        "train", *NETWORK, *QUICK, "-o", "teacher.safetensors", cwd=photos, cache=photos / "cache"
    )
    assert teacher.code == 0, teacher.err
    taught = ("--teacher", "mobilenet_v1", "--teacher-weights", "teacher.safetensors")
    more = ("--target", "tflm", "--calibration-images", "4", "--json")
    built = edgekit("build", *NETWORK, *QUICK, *taught, *more, cwd=photos, cache=photos / "cache")
    assert built.code == 0, built.err
    manifest = json.loads(
        (photos / "build" / "mobilenet_v1_0.25_32_tflm" / "manifest.json").read_text()
    )
    recipe = manifest["provenance"]["weights"]["recipe"]
    assert recipe["distillation"]["teacher"]["model"]["arch"] == "mobilenet_v1"
