"""Noise is told from photographs, line drawings, text and patterns, at every resolution."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edgekit import data
from edgekit.compress.noise import Structure

COUNT = 24
Samples = np.ndarray


def is_noise(samples: Samples) -> bool:
    structure = Structure()
    for start in range(0, len(samples), 7):  # batches of different sizes
        structure.add(samples[start : start + 7].astype(np.float32))
    return structure.is_noise()


def gaussian(size: int) -> Samples:
    return np.random.default_rng(0).normal(size=(COUNT, size, size, 3))


def files(size: int, source: int = 224) -> Samples:
    """Noise that was saved as pictures and scaled as pictures are."""
    rng = np.random.default_rng(1)
    made = (rng.integers(0, 256, (source, source, 3), np.uint8) for _ in range(COUNT))
    pictures = (
        Image.fromarray(one).resize((size, size), Image.Resampling.BILINEAR) for one in made
    )
    return np.stack([np.asarray(picture) for picture in pictures])


def halved(size: int) -> Samples:
    return files(size, 2 * size)


def grainy(size: int) -> Samples:
    """Photographs in bad light."""
    return fashion(size) + 0.1 * gaussian(size)


def fashion(size: int) -> Samples:
    dataset = data.load()
    contract = dataset.preprocessing(size, size)
    return contract.normalize(dataset.splits["calibration"].pixels(range(COUNT), contract))


def drawn(size: int, draw: Callable[[ImageDraw.ImageDraw, np.random.Generator], None]) -> Samples:
    pictures = []
    for seed in range(COUNT):
        picture = Image.new("RGB", (size, size), "white")
        draw(ImageDraw.Draw(picture), np.random.default_rng(seed))
        pictures.append(np.asarray(picture))
    return np.stack(pictures)


def sketch(size: int, strokes: int = 12) -> Samples:
    """Lines and arcs one pixel wide, not smoothed."""

    def draw(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        for _ in range(strokes):
            pen.line([tuple(rng.integers(0, size, 2)) for _ in range(2)], "black")
            x, y, r = (*rng.integers(0, size, 2), rng.integers(size // 10, size // 3))
            pen.arc((x - r, y - r, x + r, y + r), 0, float(rng.integers(90, 360)), "black")

    return drawn(size, draw)


def doodle(size: int) -> Samples:
    return sketch(size, strokes=2)


def text(size: int) -> Samples:
    def draw(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
        for y in range(0, size, 11):
            pen.text((0, y), "".join(map(chr, rng.integers(97, 123, size // 6))), "black")

    return drawn(size, draw)


def stripes(size: int, slope: int = 0) -> Samples:
    """Every sixth column black; slanted, the pattern is the same along one diagonal only."""
    rows, columns = np.indices((size, size))
    black = (columns + slope * rows) % 6 == 0
    return np.repeat(np.where(black, 0, 255)[None, :, :, None], COUNT, 0)


def slanted(size: int) -> Samples:
    return stripes(size, slope=1)


@pytest.mark.parametrize(
    ("noise", "size"),
    [
        (gaussian, 16),
        (halved, 32),
        *((noise, size) for noise in (gaussian, files) for size in (32, 64, 128)),
    ],
)
def test_noise(noise: Callable[[int], Samples], size: int) -> None:
    assert is_noise(noise(size))


@pytest.mark.parametrize("size", [16, 32, 64, 96, 128])
@pytest.mark.parametrize("picture", [fashion, grainy, sketch, doodle, text, stripes, slanted])
def test_pictures(size: int, picture: Callable[[int], Samples]) -> None:
    assert not is_noise(picture(size))


def test_what_is_no_picture_has_no_verdict() -> None:
    rng = np.random.default_rng(0)
    for shape in ((40, 12), (40, 10, 10, 1), (40, 49, 10, 1), (0, 32, 32, 3)):
        assert not is_noise(rng.normal(size=shape))
    assert not is_noise(np.full((8, 32, 32, 3), 7.0))
