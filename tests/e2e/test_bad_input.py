"""Mistyped options and damaged pictures: one clear error, nothing touched (see `fails`)."""

from __future__ import annotations

import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.cli import edgekit

pytestmark = pytest.mark.slow

SMALL = ("--alpha", "0.25", "--resolution", "32", "--epochs", "1", "--threads", "1")
TRAIN = ("build", "mobilenet_v1", *SMALL, "--calibration-images", "10", "--target", "tflm")
Fails = Callable[..., None]
Change = Callable[[Path], Any]


OPTIONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("bulid",), "Did you mean build"),
    (("build", "mobilnet_v1", "--target", "tflm"), "Did you mean mobilenet_v1"),
    (("build", "mobilenet_v1", "--target", "tfml"), "Did you mean tflm"),
    (("build", "mobilenet_v1"), "--target"),
    (("build", "--target", "tflm"), "--model"),
    (("build", "mobilenet_v1", "--model", "x.onnx", "--target", "tflm"), "--model"),
    ((*TRAIN, "--board", "nucleo_f466re"), "Did you mean nucleo_f446re"),
    ((*TRAIN, "--board", "coral_usb"), "takes coral bundles"),
    ((*TRAIN, "--aplha", "0.5"), "--alpha"),
    ((*TRAIN, "--padding", "sam"), "'same', 'torch'"),
    ((*TRAIN, "unexpected"), "unexpected"),
    *(((*TRAIN, "--alpha", value), "alpha") for value in ("nan", "-1", "half")),
    *(((*TRAIN, "--rho", value), "rho") for value in ("inf", "0", "11")),
    ((*TRAIN, "--alpha", "1e-9"), "at least 0.03125 works"),
    ((*TRAIN, "--resolution", "0"), "lies between 1 and 2,048"),
    ((*TRAIN, "--resolution", "16"), "The smallest that works is 17"),
    ((*TRAIN, "--resolution", "1000000"), "lies between 1 and 2,048"),
    ((*TRAIN, "--resolution", "3.5"), "not a valid integer"),
    ((*TRAIN, "--epochs", "0"), "--epochs"),
    ((*TRAIN, "--epochs", "99999999999"), "at most 100,000 epochs"),
    ((*TRAIN, "--threads", "100000", "--retrain"), "threads"),
    ((*TRAIN, "--seed", "-1"), "seed"),
    ((*TRAIN, "--seed", "9" * 30), "seed"),
    ((*TRAIN, "--calibration-images", "0"), "at least one picture"),
    ((*TRAIN, "--calibration-images", "5000"), "at most 1000"),
    ((*TRAIN, "--mean", "1,2"), "--mean takes 1 or 3 numbers"),
    ((*TRAIN, "--mean", "nan"), "finite means"),
    ((*TRAIN, "--std", "0"), "positive, finite deviations"),
    ((*TRAIN, "--seed", "7", "--resume"), "no interrupted training"),
    ((*TRAIN, "--resume", "--retrain"), "either"),
)


@pytest.mark.parametrize(("args", "said"), OPTIONS, ids=[" ".join(a)[-30:] for a, _ in OPTIONS])
def test_options(fails: Fails, args: tuple[str, ...], said: str) -> None:
    fails(2, said, *args)


def one_class(data: Path) -> None:
    for folder in sorted(data.iterdir())[1:]:
        shutil.rmtree(folder)


def a_picture(content: Callable[[bytes], bytes]) -> Change:
    """Damage one of the pictures."""

    def change(data: Path) -> None:
        path = sorted(data.rglob("*.png"))[0]
        path.write_bytes(content(path.read_bytes()))

    return change


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def bomb(content: bytes) -> bytes:
    """A PNG of a few hundred bytes that says it is 60,000 pixels wide and high."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)


DATA: dict[str, tuple[Change, str]] = {
    "missing": (shutil.rmtree, "no folder or data set"),
    "empty": (lambda data: [shutil.rmtree(d) for d in data.iterdir()], "no class folders"),
    "one class": (one_class, "one class only"),
    "a file": (lambda data: (shutil.rmtree(data), data.touch()), "is a file"),
    "truncated picture": (a_picture(lambda png: png[: len(png) // 2]), "cannot be decoded"),
    "empty picture": (a_picture(lambda png: b""), "is empty: 0 bytes"),
    "no picture": (a_picture(lambda png: b"hello"), "is not a picture"),
    "bomb": (a_picture(bomb), "too large"),
}


@pytest.mark.parametrize("what", DATA)
def test_data_folders(fails: Fails, photos: Path, tmp_path: Path, what: str) -> None:
    change, said = DATA[what]
    shutil.copytree(photos, tmp_path / "data")
    change(tmp_path / "data")
    fails(3, said, *TRAIN, "--data", "data")


def test_pictures_that_are_links_to_nowhere(fails: Fails, photos: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "data")
    path = sorted((tmp_path / "data").rglob("*.png"))[0]
    path.unlink()
    path.symlink_to("nowhere.png")
    fails(3, path.name, *TRAIN, "--data", "data")


def test_calibration_on_noise_is_warned_of(tmp_path: Path, photos: Path, cache: Path) -> None:
    pytest.importorskip("torch", reason="needs edgekit[train]")
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / "noise" / folder).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "noise" / folder / f"{number}.png")
    for data, warned in (("noise", True), (photos, False)):
        done = edgekit(*TRAIN, "--data", data, "-o", "new", "--json", cwd=tmp_path, cache=cache)
        assert done.code == 0, done.err
        warnings = json.loads(done.out)["warnings"]
        assert any("look like noise" in warning for warning in warnings) is warned
