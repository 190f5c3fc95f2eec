"""One small data set and the bundles built from it, shared by the tests of a worker."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.cli import Outcome, edgekit
from support.failing import assert_one_error, tree
from support.graphs import convnet

from edgekit import data
from edgekit.convert.tflite_writer import write

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


@pytest.fixture(scope="session", params=["c", "coral", "rpi", "tflm"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, build: Build):
    """(folder, report) of a finished bundle for each target."""
    folder = tmp_path_factory.mktemp("bundle") / request.param
    outcome = build(request.param, folder)
    assert outcome.code == 0, outcome.err
    return folder, json.loads(outcome.out)


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A bundle of a small model, made without training."""
    place = tmp_path_factory.mktemp("earlier")
    (place / "good.tflite").write_bytes(write(convnet()))
    command = ("build", "--model", "good.tflite", "--target", "tflm", "-o", "bundle")
    outcome = edgekit(*command, cwd=place, cache=cache)
    assert outcome.code == 0, outcome.err
    return place / "bundle"


@pytest.fixture
def fails(tmp_path: Path, earlier: Path, cache: Path) -> Callable[..., None]:
    """Run a command that writes over an earlier bundle: (exit code, words of the error, *args).

    It must fail with one clear error, and leave the bundle as it was and nothing beside it.
    """
    shutil.copytree(earlier, tmp_path / "out" / "bundle")
    before = tree(tmp_path / "out")

    def run(code: int, said: str, *args: str | Path) -> None:
        outcome = edgekit(*args, "-o", "out/bundle", cwd=tmp_path, cache=cache)
        assert_one_error(outcome, code, said)
        assert tree(tmp_path / "out") == before

    return run
