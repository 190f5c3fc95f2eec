"""One small data set and the bundles built from it, shared by the tests of a worker."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import Outcome, edgekit

from edgekit import data

CLASSES = 3
PICTURES = 40  # of each class


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of PNGs: real pictures of three classes of the embedded set."""
    root = tmp_path_factory.mktemp("photos")
    dataset = data.load()
    split = dataset.splits["train"]
    raw = dataset.preprocessing(28, 28)
    for target, label in enumerate(dataset.labels[:CLASSES]):
        folder = root / label.replace("/", "-")
        folder.mkdir()
        chosen = np.flatnonzero(split.targets == target)[:PICTURES]
        for number, pixels in enumerate(split.pixels(chosen, raw)):
            Image.fromarray(pixels).save(folder / f"{number:03}.png")
    return root


Build = Callable[..., Outcome]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the builds keep their checkpoints."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, photos: Path, cache: Path) -> Build:
    """`edgekit build` of a network that takes a second, trained once."""
    pytest.importorskip("torch", reason="needs edgekit[train]")
    place = tmp_path_factory.mktemp("builds")

    def run(target: str, output: Path, *args: str, arch: str = "mobilenet_v1") -> Outcome:
        small = ("--alpha", "0.25", "--resolution", "32", "--epochs", "20", "--threads", "1")
        options = (*small, "--data", photos, "--calibration-images", "10", "--json")
        return edgekit(
            "build", arch, *options, "--target", target, "-o", output, *args, cwd=place, cache=cache
        )

    return run


@pytest.fixture(scope="session", params=["coral", "rpi", "tflm"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, build: Build):
    """(folder, report) of a finished bundle for each target."""
    folder = tmp_path_factory.mktemp("bundle") / request.param
    outcome = build(request.param, folder)
    assert outcome.code == 0, outcome.err
    return folder, json.loads(outcome.out)
