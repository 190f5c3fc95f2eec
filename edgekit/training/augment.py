"""Random changes to training images that do not change their class (no torch).

Enter the shape of a batch, a recipe and a generator; leave `Changes`, which `augment` makes to
uint8 images (n, height, width, channels). The generator decides everything: equal generators give
equal changes. They can be made at another resolution too, so that a teacher sees what its student
sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgekit.training.recipe import Recipe

Images = npt.NDArray[np.uint8]
_GREY = 128


@dataclass(frozen=True, eq=False)
class Changes:
    """What is done to each of n images.

    Attributes:
        size: (height, width) of the images, in pixels.
        mirrored: left to right, bool (n,).
        shifts: (down, right) in pixels, int64 (n, 2).
        erased: images with a greyed square, int64 (m,).
        centres: (y, x) of the squares in pixels, int64 (m, 2).
        square: (height, width) of a square, in pixels.
    """

    size: tuple[int, int]
    mirrored: npt.NDArray[np.bool_]
    shifts: npt.NDArray[np.int64]
    erased: npt.NDArray[np.int64]
    centres: npt.NDArray[np.int64]
    square: tuple[int, int]

    def at(self, height: int, width: int) -> Changes:
        """The same changes to the same images at another resolution, to the nearest pixel."""
        if (height, width) == self.size:
            return self
        ratio = np.array([height / self.size[0], width / self.size[1]])
        tall, wide = np.rint(self.square * ratio).astype(np.int64)
        return replace(
            self,
            size=(height, width),
            shifts=np.rint(self.shifts * ratio).astype(np.int64),
            centres=(self.centres * ratio).astype(np.int64),
            square=(int(tall), int(wide)),
        )


def draw(
    count: int,
    size: tuple[int, int],
    recipe: Recipe,
    rng: np.random.Generator,
    strength: float = 1.0,
) -> Changes:
    """Changes for `count` images of `size` (height, width), as the recipe says.

    Args:
        strength: what the recipe's `shift` and `erase` are multiplied by.
    """
    height, width = size
    shift, erase = strength * recipe.shift, strength * recipe.erase
    mirrored = rng.random((count,)) < (0.5 if recipe.flip else 0.0)
    furthest = np.array([round(shift * height), round(shift * width)])
    shifts = rng.integers(-furthest, furthest + 1, (count, 2))
    erased = np.empty(0, np.int64)
    if erase:
        erased = np.flatnonzero(rng.random(count) < 0.5)
    centres = np.array([rng.integers(0, size) for _ in erased], np.int64).reshape(-1, 2)
    square = round(erase * height), round(erase * width)
    return Changes(size, mirrored, shifts, erased, centres, square)


def augment(images: Images, changes: Changes) -> Images:
    """Mirror, shift and erase: a new array."""
    out = np.empty_like(images)
    for i, mirrored in enumerate(changes.mirrored):
        _shift(images[i, :, ::-1] if mirrored else images[i], changes.shifts[i], out[i])
    tall, wide = changes.square
    for i, (y, x) in zip(changes.erased, changes.centres, strict=True):
        top, left = max(y - tall // 2, 0), max(x - wide // 2, 0)  # it may stand out over the edge
        out[i, top : y - tall // 2 + tall, left : x - wide // 2 + wide] = _GREY
    return out


def _shift(image: Images, by: npt.NDArray[np.int64], out: Images) -> None:
    """Move `image` down and right by (dy, dx) pixels into `out`; the edges are repeated."""
    height, width, _ = image.shape
    dy, dx = int(by[0]), int(by[1])
    top, bottom = max(dy, 0), height + min(dy, 0)
    left, right = max(dx, 0), width + min(dx, 0)
    out[top:bottom, left:right] = image[top - dy : bottom - dy, left - dx : right - dx]
    out[:top, left:right] = out[top, left:right]
    out[bottom:, left:right] = out[bottom - 1, left:right]
    out[:, :left] = out[:, left : left + 1]
    out[:, right:] = out[:, right - 1 : right]
