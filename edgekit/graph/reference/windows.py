"""Where sliding windows lie on an image, and the image's values under them.

TFLite's geometry (kernels/padding.h): SAME gives ceil(size / stride) positions and puts the odd
row or column of padding at the end, VALID only whole windows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ops import Padding
from edgekit.graph.shapes import window_count

Image = npt.NDArray[Any]


@dataclass(frozen=True)
class Axis:
    """The windows along one axis.

    Attributes:
        size: elements of the image.
        taps: elements of the window.
        count: windows; 0 when not one fits.
        before: padding in front of the first element.
        after: padding behind the last element.
    """

    size: int
    taps: int
    stride: int
    dilation: int
    count: int
    before: int
    after: int

    @staticmethod
    def of(size: int, taps: int, stride: int, dilation: int, padding: Padding) -> Axis:
        """The windows TFLite places along an axis."""
        count = window_count(size, taps, stride, dilation, padding)
        reach = (taps - 1) * dilation + 1
        missing = max(0, (count - 1) * stride + reach - size)
        return Axis(size, taps, stride, dilation, count, missing // 2, missing - missing // 2)

    def part(self, size: int, count: int, before: int) -> Axis:
        """Consecutive windows, and the elements of the image that lie under them."""
        reach = (self.taps - 1) * self.dilation + 1
        after = max(0, (count - 1) * self.stride + reach - size - before)
        return replace(self, size=size, count=count, before=before, after=after)

    @property
    def padded(self) -> int:
        """Elements of the padded image."""
        return self.before + self.size + self.after

    def under(self, tap: int) -> slice:
        """The padded elements that lie under one tap of every window."""
        start = tap * self.dilation
        return slice(start, start + (self.count - 1) * self.stride + 1, self.stride)

    def taps_inside(self) -> npt.NDArray[np.int32]:
        """How many taps of each window lie on the image, not on padding."""
        starts = np.arange(self.count)[:, None] * self.stride - self.before
        positions = starts + np.arange(self.taps) * self.dilation
        inside = (positions >= 0) & (positions < self.size)
        return np.asarray(inside.sum(axis=1), np.int32)


def place(image: Image, rows: Axis, columns: Axis, fill: float, out: Image) -> Image:
    """Copy (n,H,W,C) into the middle of `out` (n, rows.padded, columns.padded, C)."""
    inside = (
        slice(None),
        slice(rows.before, rows.before + rows.size),
        slice(columns.before, columns.before + columns.size),
    )
    if rows.padded != rows.size or columns.padded != columns.size:
        out[...] = fill
    out[inside] = image
    return out


def pad(image: Image, rows: Axis, columns: Axis, fill: float) -> Image:
    """The image with its padding; the image itself if there is none."""
    if rows.padded == rows.size and columns.padded == columns.size:
        return image
    shape = (image.shape[0], rows.padded, columns.padded, image.shape[3])
    return place(image, rows, columns, fill, np.empty(shape, image.dtype))


def windows(padded: Image, rows: Axis, columns: Axis) -> Image:
    """A view (n, H', W', kH, kW, C) of a padded image (n,H,W,C): no element is copied."""
    n, _, _, channels = padded.shape
    image, row, column, element = padded.strides
    shape = (n, rows.count, columns.count, rows.taps, columns.taps, channels)
    strides = (
        image,
        row * rows.stride,
        column * columns.stride,
        row * rows.dilation,
        column * columns.dilation,
        element,
    )
    return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
