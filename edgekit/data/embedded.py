"""The data set inside edgekit: a subset of Fashion-MNIST, as mosaics that any viewer shows.

Enters: a folder of `calibration/`, described by its `manifest.toml`. A split is a grey PNG of 28x28
tiles and a CSV with a row a tile (its index in the published set, its label); in memory the
pictures stand in the order of that index, classes mixed. Leaves: a `Dataset`. Refused: files whose
SHA-256 is not the manifest's.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.data.dataset import ArraySplit, Dataset, SplitName
from edgekit.errors import InputError
from edgekit.preprocessing import Preprocessing
from edgekit.resources import calibration_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER_NAME = "fashion_mnist"
TILE = 28  # pixels, both sides
COLUMNS = 100  # tiles in a row of a mosaic

_HINT = "The installation is damaged: install edgekit again."


@dataclass(frozen=True)
class Manifest:
    """`manifest.toml` of an embedded data set.

    Attributes:
        folder: where it and its files stand.
        labels: class names.
        defaults: its preprocessing, at the pictures' own size.
        origin: source, package, licence, citation, seed: what every result made with it carries.
        counts: pictures of every split.
        sha256: of every file beside it.
    """

    folder: Path
    labels: tuple[str, ...]
    defaults: Preprocessing
    origin: Mapping[str, Any]
    counts: Mapping[str, int]
    sha256: Mapping[str, str]

    @staticmethod
    def read(folder: Path | None = None) -> Manifest:
        """Read the manifest of a folder; None means the shipped one.

        Raises:
            InputError: missing, no TOML, or an entry is missing.
        """
        folder = folder or calibration_dir() / FOLDER_NAME
        path = folder / "manifest.toml"
        try:
            entries = tomllib.loads(path.read_text("utf-8"))
            return Manifest(
                folder=folder,
                labels=tuple(entries["labels"]),
                defaults=Preprocessing.from_json(
                    {"height": TILE, "width": TILE, **entries["preprocessing"]}
                ),
                origin=entries["origin"],
                counts=entries["counts"],
                sha256=entries["sha256"],
            )
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}.", hint=_HINT) from error
        except KeyError as error:
            raise InputError(f"{path} has no entry {error}.", hint=_HINT) from error

    def rows(self, split: str) -> npt.NDArray[np.int64]:
        """(published index, label) of every tile of a split, int64 (n, 2), in mosaic order."""
        text = self._verified(f"{split}.csv").decode("ascii")
        return np.loadtxt(io.StringIO(text), np.int64, delimiter=",", skiprows=1, ndmin=2)

    def tiles(self, split: str) -> npt.NDArray[np.uint8]:
        """Every tile of a split, uint8 (n, 28, 28), in mosaic order."""
        with Image.open(io.BytesIO(self._verified(f"{split}.png"))) as mosaic:
            pixels = np.asarray(mosaic)
        rows = pixels.shape[0] // TILE
        grid = pixels.reshape(rows, TILE, COLUMNS, TILE).transpose(0, 2, 1, 3)
        return grid.reshape(rows * COLUMNS, TILE, TILE)

    def _verified(self, name: str) -> bytes:
        """The bytes of a file whose SHA-256 is the manifest's."""
        path = self.folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error}.", hint=_HINT) from error
        if hashlib.sha256(data).hexdigest() != self.sha256.get(name):
            raise InputError(f"{path} is corrupt: its SHA-256 is not the manifest's.", hint=_HINT)
        return data


def load(folder: Path | None = None) -> Dataset:
    """The embedded data set: 17,500 train, 1,500 validation, 1,000 calibration, 10,000 test.

    Raises:
        InputError: a file is missing or corrupt.
    """
    manifest = Manifest.read(folder)
    splits: dict[SplitName, ArraySplit] = {}
    for name in get_args(SplitName):
        index, targets = manifest.rows(name).T
        order = np.argsort(index)
        side = "test" if name == "test" else "train"
        splits[name] = ArraySplit(
            manifest.tiles(name)[order],
            targets[order],
            [f"{side}/{number}" for number in index[order]],
        )
    provenance = {
        **manifest.origin,
        "name": "embedded",
        "counts": dict(manifest.counts),
        "sha256": dict(manifest.sha256),
    }
    return Dataset("fashion_mnist_embedded", manifest.labels, splits, manifest.defaults, provenance)
