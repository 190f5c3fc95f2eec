from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import embedded
from edgekit.data.dataset import Dataset
from edgekit.errors import InputError
from edgekit.preprocessing import Preprocessing
from edgekit.resources import calibration_dir

FOLDER = calibration_dir() / embedded.FOLDER_NAME
PER_CLASS = {"train": 1750, "validation": 150, "calibration": 100, "test": 1000}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return embedded.load()


def test_splits_are_balanced(dataset: Dataset) -> None:
    assert len(dataset.labels) == 10
    for split, per_class in PER_CLASS.items():
        targets = dataset.splits[split].targets
        assert np.bincount(targets).tolist() == [per_class] * 10
        assert len(set(targets[:64].tolist())) > 5  # classes mixed: any slice is a fair sample


def test_no_picture_stands_in_two_splits(dataset: Dataset) -> None:
    seen: dict[bytes, str] = {}
    for part in dataset.splits.values():
        for index in range(len(part)):
            digest = hashlib.sha256(part.content(index)).digest()
            assert seen.setdefault(digest, part.name(index)) == part.name(index)
    assert len(seen) == 30_000


def test_labels_belong_to_their_pictures(dataset: Dataset) -> None:
    # Shown, not looked up: the nearest class mean tells most held-out pictures' labels.
    train, test = dataset.splits["train"], dataset.splits["test"]
    contract = dataset.preprocessing(14, 14)
    x = train.pixels(range(4000), contract)[..., 0].reshape(4000, -1).astype(np.float32)
    means = np.stack([x[train.targets[:4000] == label].mean(0) for label in range(10)])
    y = test.pixels(range(1000), contract)[..., 0].reshape(1000, 1, -1).astype(np.float32)
    nearest = ((y - means) ** 2).sum(2).argmin(1)
    assert (nearest == test.targets[:1000]).mean() > 0.6


def test_int8_input_is_pixel_minus_128(dataset: Dataset) -> None:
    contract = dataset.preprocessing(28, 28).quantized(1 / 128, 0)
    assert contract.table()[0].tolist() == list(range(-128, 128))
    pixels = dataset.splits["test"].pixels([0, 1], contract)
    assert pixels.shape == (2, 28, 28, 3)
    assert np.array_equal(contract.quantize(pixels), pixels.astype(int) - 128)


def test_pixels_follow_the_preprocessing(dataset: Dataset) -> None:
    part = dataset.splits["calibration"]
    grey = part.pixels([5, 3], Preprocessing(28, 28, color="L", mean=(0,), std=(1,)))
    assert grey[0].tobytes() == part.content(5) and grey[1].tobytes() == part.content(3)


def test_every_shipped_file_is_in_the_manifest_and_small() -> None:
    manifest = embedded.Manifest.read()
    files = {path.name: path for path in FOLDER.iterdir()}
    assert set(files) - {"manifest.toml"} == set(manifest.sha256)
    for name, digest in manifest.sha256.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
    assert sum(path.stat().st_size for path in files.values()) < 12_000_000
    assert manifest.origin["license"] == "MIT"
    assert "Permission is hereby granted" in files["LICENSE"].read_text()


def test_provenance_says_where_it_comes_from(dataset: Dataset) -> None:
    assert dataset.provenance["counts"] == {name: 10 * n for name, n in PER_CLASS.items()}
    assert {"source", "license", "seed", "sha256"} <= set(dataset.provenance)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "copy"))


@pytest.mark.parametrize("name", ["test.png", "train.csv"])
def test_one_flipped_bit_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(InputError, match=f"{name} is corrupt"):
        embedded.load(copy)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "train.png").unlink(), r"train\.png cannot be read"),
        (lambda folder: (folder / "manifest.toml").unlink(), r"manifest\.toml cannot be read"),
        (lambda folder: (folder / "manifest.toml").write_text("= 1"), "cannot be read"),
        (lambda folder: (folder / "manifest.toml").write_text("labels = []"), "no entry"),
    ],
)
def test_damaged_installations(copy: Path, damage, message: str) -> None:
    damage(copy)
    with pytest.raises(InputError, match=message) as caught:
        embedded.load(copy)
    assert "install" in caught.value.hint
