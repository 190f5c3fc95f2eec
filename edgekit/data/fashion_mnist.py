"""Fashion-MNIST in full, from the files of Debian's package `dataset-fashion-mnist`.

Enters: the folder of the four IDX files. Leaves: all 60,000 + 10,000 pictures as a `Dataset` whose
validation and calibration splits are the embedded subset's, so that results of both compare; train
is the rest, test is Fashion-MNIST's own. Refused: files that are missing or not the published ones.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.data import embedded
from edgekit.data.dataset import ArraySplit, Dataset, SplitName
from edgekit.errors import InputError, MissingToolError

PACKAGE = "dataset-fashion-mnist"
FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where the package puts the files

# Of each published file; its name is the key and "-ubyte.gz".
SOURCE_SHA256 = {
    "train-images-idx3": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}

Pictures = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def source_folder() -> Path:
    """Where the four files are looked for: `$EDGEKIT_FASHION_MNIST`, else the package's folder."""
    return Path(os.environ.get("EDGEKIT_FASHION_MNIST") or FOLDER)


def read(folder: Path) -> dict[str, Pictures]:
    """The published sides, "train" and "test": uint8 images (n, 28, 28) and int64 targets (n,).

    Raises:
        MissingToolError: a file is not there.
        InputError: a file is not the published one.
    """
    return {
        side: (
            _idx(folder, f"{stem}-images-idx3"),
            _idx(folder, f"{stem}-labels-idx1").astype(np.int64),
        )
        for side, stem in (("train", "train"), ("test", "t10k"))
    }


def _idx(folder: Path, name: str) -> npt.NDArray[np.uint8]:
    """One gzipped IDX file (big-endian: two zeros, type 8, rank, the dimensions, the bytes)."""
    path = folder / f"{name}-ubyte.gz"
    if not path.is_file():
        raise MissingToolError(
            f"Fashion-MNIST's file {path} is not there.",
            hint=f"apt-get install {PACKAGE}, or set EDGEKIT_FASHION_MNIST to the folder of the "
            "four published files. The embedded subset needs neither.",
        )
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SOURCE_SHA256[name]:
        raise InputError(
            f"{path} is not Fashion-MNIST's published file: its SHA-256 differs.",
            hint=f"apt-get install --reinstall {PACKAGE}",
        )
    data = gzip.decompress(packed)
    rank = data[3]
    shape = struct.unpack_from(f">{rank}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def load(folder: Path | None = None) -> Dataset:
    """Fashion-MNIST in full: 57,500 train, 1,500 validation, 1,000 calibration, 10,000 test.

    Raises:
        MissingToolError: the package is not installed.
        InputError: a file is not the published one.
    """
    sides = read(folder or source_folder())
    subset = embedded.Manifest.read()
    held_out = {split: subset.rows(split)[:, 0] for split in ("validation", "calibration")}
    train = np.setdiff1d(np.arange(len(sides["train"][1])), np.concatenate([*held_out.values()]))
    chosen: dict[SplitName, tuple[str, npt.NDArray[np.int64]]] = {
        "train": ("train", train),
        "validation": ("train", np.sort(held_out["validation"])),
        "calibration": ("train", np.sort(held_out["calibration"])),
        "test": ("test", np.arange(len(sides["test"][1]))),
    }
    splits = {
        name: ArraySplit(
            sides[side][0][indices],
            sides[side][1][indices],
            [f"{side}/{index}" for index in indices],
        )
        for name, (side, indices) in chosen.items()
    }
    provenance = {
        **subset.origin,
        "name": "fashion_mnist",
        "counts": {name: len(split) for name, split in splits.items()},
        "sha256": dict(SOURCE_SHA256),
    }
    return Dataset("fashion_mnist", subset.labels, splits, subset.defaults, provenance)
