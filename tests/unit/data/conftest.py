"""Synthetic folders of pictures: every format, mode and size the reader must take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WritePicture = Callable[[Path], Path]
MakeClasses = Callable[..., Path]


def _picture(seed: str, width: int = 12, height: int = 9) -> Image.Image:
    """A noise picture that depends on nothing but the text."""
    random = np.random.default_rng(
        int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big")
    )
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def write_picture() -> WritePicture:
    """Writes a small picture whose content follows from its path's last two parts."""

    def write(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        _picture("/".join(path.parts[-2:])).save(path)
        return path

    return write


@pytest.fixture
def make_classes(write_picture: WritePicture) -> MakeClasses:
    """make_classes(folder, cats=12, dogs=8) writes so many different PNGs into class folders."""

    def make(folder: Path, **counts: int) -> Path:
        for label, count in counts.items():
            (folder / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                write_picture(folder / label / f"{folder.name}-{number:04}.png")
        return folder

    return make
