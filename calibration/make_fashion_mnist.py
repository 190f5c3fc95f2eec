"""Make the embedded data set `calibration/fashion_mnist/` from the published Fashion-MNIST files.

    apt-get install dataset-fashion-mnist
    python calibration/make_fashion_mnist.py            # write the files
    python calibration/make_fashion_mnist.py --check    # compare the files with the source

Of every class, the training side's pictures are put in a seeded order: the first 100 calibrate, the
next 150 validate, the next 1,750 train. The test split is the published test set, whole. Tiles
stand by class, then by how many rows and pixels of them are not black: neighbours resemble each
other, which takes 2 % off the PNG. The PNG's bytes depend on Pillow's zlib; what it shows does not.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.data.choice import shuffled
from edgekit.data.embedded import COLUMNS, TILE, Manifest
from edgekit.data.fashion_mnist import PACKAGE, SOURCE_SHA256, Pictures, read, source_folder

HERE = Path(__file__).resolve().parent / "fashion_mnist"
SEED = 0
PER_CLASS = {"calibration": 100, "validation": 150, "train": 1750}  # of the training side, in turn
LABELS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_RLE = 3  # zlib's Z_RLE: 2 % smaller here than the default strategy, and faster to read

HEAD = f"""\
# Made by make_fashion_mnist.py; do not edit.
labels = {list(LABELS)}

[origin]
title = "Fashion-MNIST, a class-balanced subset of the training side and the whole test side"
source = "https://github.com/zalandoresearch/fashion-mnist"
package = "{PACKAGE} (Debian)"
license = "MIT"
license_url = "https://github.com/zalandoresearch/fashion-mnist/blob/master/LICENSE"
copyright = "Copyright (c) 2017 Zalando SE, https://tech.zalando.com"
citation = "H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST, arXiv:1708.07747"
seed = {SEED}

# int8 input = pixel - 128, exactly; grey is repeated to three channels.
[preprocessing]
color = "RGB"
resize = "stretch"
mean = [128.0, 128.0, 128.0]
std = [128.0, 128.0, 128.0]
"""


def choose(sides: dict[str, Pictures]) -> dict[str, npt.NDArray[np.int64]]:
    """Split name -> indices into its side of the published set, any order."""
    targets = sides["train"][1]
    chosen: dict[str, list[int]] = {split: [] for split in PER_CLASS}
    for label in range(len(LABELS)):
        order = [int(n) for n in shuffled(map(str, np.flatnonzero(targets == label)), SEED)]
        for split, count in PER_CLASS.items():
            chosen[split] += order[:count]
            order = order[count:]
    parts = {split: np.array(indices, np.int64) for split, indices in chosen.items()}
    return {**parts, "test": np.arange(len(sides["test"][1]))}


def in_mosaic_order(indices: npt.NDArray[np.int64], side: Pictures) -> npt.NDArray[np.int64]:
    """The indices by class, lit rows, lit pixels and number."""
    images, targets = side[0][indices] > 0, side[1][indices]
    keys = (indices, images.sum((1, 2)), images.any(2).sum(1), targets)  # last key sorts first
    return indices[np.lexsort(keys)]


def mosaic(tiles: npt.NDArray[np.uint8]) -> bytes:
    """uint8 (n, 28, 28), n a multiple of COLUMNS -> a grey PNG."""
    grid = tiles.reshape(-1, COLUMNS, TILE, TILE).transpose(0, 2, 1, 3)
    out = io.BytesIO()
    Image.fromarray(grid.reshape(-1, COLUMNS * TILE)).save(
        out, "PNG", compress_level=9, compress_type=_RLE
    )
    return out.getvalue()


def make(sides: dict[str, Pictures], folder: Path) -> None:
    """Write the mosaics, the CSVs and the manifest."""
    sizes, sums = [], []
    for split, indices in choose(sides).items():
        side = sides["test" if split == "test" else "train"]
        order = in_mosaic_order(indices, side)
        rows = "".join(f"{index},{side[1][index]}\n" for index in order)
        files = {
            f"{split}.png": mosaic(side[0][order]),
            f"{split}.csv": f"published_index,label\n{rows}".encode(),
        }
        for name, data in files.items():
            (folder / name).write_bytes(data)
            sums.append(f'"{name}" = "{hashlib.sha256(data).hexdigest()}"')
        sizes.append(f"{split} = {len(order)}")
    license_sum = hashlib.sha256((folder / "LICENSE").read_bytes()).hexdigest()
    sums.append(f'LICENSE = "{license_sum}"')
    sources = [f'{name} = "{digest}"' for name, digest in SOURCE_SHA256.items()]
    tables = {"counts": sizes, "sha256": sums, "source_sha256": sources}
    text = "".join(f"\n[{name}]\n" + "\n".join(lines) + "\n" for name, lines in tables.items())
    (folder / "manifest.toml").write_text(HEAD.replace("'", '"') + text, "utf-8")


def check(sides: dict[str, Pictures], folder: Path) -> bool:
    """Whether the files hold exactly the chosen pictures of the published set."""
    manifest = Manifest.read(folder)
    for split, indices in choose(sides).items():
        images, targets = sides["test" if split == "test" else "train"]
        index, labels = manifest.rows(split).T
        same = (
            np.array_equal(np.sort(index), np.sort(indices))
            and np.array_equal(labels, targets[index])
            and np.array_equal(manifest.tiles(split), images[index])
        )
        print(f"{split}: {len(index)} pictures {'as published' if same else 'DIFFER'}")
        if not same:
            return False
    return True


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=source_folder(), help="the IDX files")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args()
    sides = read(options.source)
    if not options.check:
        make(sides, HERE)
    return 0 if check(sides, HERE) else 1


if __name__ == "__main__":
    sys.exit(main())
