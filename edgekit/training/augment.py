"""Random changes to training images that do not change their class (no torch).

Enter uint8 images (n, height, width, channels) and a generator; leaves a new array of the same
shape. The generator decides everything: equal generators give equal images.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.training.recipe import Recipe

Images = npt.NDArray[np.uint8]
_GREY = 128


def augment(images: Images, recipe: Recipe, rng: np.random.Generator) -> Images:
    """Mirror, shift and erase, each as the recipe says."""
    count, height, width, _ = images.shape
    mirrored = rng.random((count,)) < (0.5 if recipe.flip else 0.0)
    furthest = np.array([round(recipe.shift * height), round(recipe.shift * width)])
    shifts = rng.integers(-furthest, furthest + 1, (count, 2))
    out = np.empty_like(images)
    for i in range(count):
        _shift(images[i, :, ::-1] if mirrored[i] else images[i], shifts[i], out[i])
    if recipe.erase:
        _erase(out, recipe.erase, rng)
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


def _erase(images: Images, part: float, rng: np.random.Generator) -> None:
    """Grey out a square in half of the images, in place; it may stand out over the edge."""
    count, height, width, _ = images.shape
    erased = np.flatnonzero(rng.random(count) < 0.5)
    tall, wide = round(part * height), round(part * width)
    for i in erased:
        y, x = rng.integers(0, (height, width))
        top, left = max(y - tall // 2, 0), max(x - wide // 2, 0)
        images[i, top : y - tall // 2 + tall, left : x - wide // 2 + wide] = _GREY
