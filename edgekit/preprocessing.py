"""The preprocessing contract: how a picture becomes the numbers a network reads.

One frozen value travels along the whole line. Training, calibration, evaluation, the manifest, the
generated `run.py` and the firmware all use it, so they cannot disagree. The integer half is a
table: an 8-bit pixel has only 256 values a channel, so `quantized = table[channel, pixel]` is exact
everywhere, on a chip without floating point too.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from edgekit.errors import UsageError

Resize = Literal["stretch", "center_crop"]
Color = Literal["RGB", "BGR", "L"]


@dataclass(frozen=True)
class Preprocessing:
    """Picture -> (height, width, channels) network input.

    Attributes:
        height, width: of the network's input, in pixels.
        color: channel order; grey pictures are repeated to three channels for RGB and BGR.
        resize: "stretch" ignores the aspect ratio; "center_crop" scales the shorter side and cuts.
        crop_fraction: with center_crop, the side of the kept square over the scaled shorter side
            (0.875 = resize to 256, crop 224).
        mean, std: per channel, in pixel units (0..255): real = (pixel - mean) / std.
        input_scale, input_zero_point: of the network's integer input; None before quantization.
    """

    height: int
    width: int
    color: Color = "RGB"
    resize: Resize = "stretch"
    crop_fraction: float = 1.0
    mean: tuple[float, ...] = (127.5, 127.5, 127.5)
    std: tuple[float, ...] = (127.5, 127.5, 127.5)
    input_scale: float | None = None
    input_zero_point: int | None = None

    def __post_init__(self) -> None:
        channels = self.channels
        if len(self.mean) != channels or len(self.std) != channels:
            raise UsageError(f"Preprocessing needs {channels} means and deviations ({self.color}).")
        if min(self.height, self.width) < 1 or min(self.std) <= 0:
            raise UsageError("Preprocessing needs a positive size and positive deviations.")
        if not 0 < self.crop_fraction <= 1:
            raise UsageError("Preprocessing's crop fraction lies in (0, 1].")

    @property
    def channels(self) -> int:
        """Channels of the network's input."""
        return 1 if self.color == "L" else 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.height, self.width, self.channels

    def at(self, height: int, width: int) -> Preprocessing:
        """The same contract at another resolution."""
        return replace(self, height=height, width=width)

    def quantized(self, scale: float, zero_point: int) -> Preprocessing:
        """The same contract, with the network's input quantization filled in."""
        return replace(self, input_scale=scale, input_zero_point=zero_point)

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Colour, resize and crop: a picture -> uint8 (height, width, channels)."""
        converted = image.convert("L" if self.color == "L" else "RGB")
        box = self._source_box(converted.width, converted.height)
        resized = converted.resize((self.width, self.height), Image.Resampling.BILINEAR, box=box)
        array = np.asarray(resized, np.uint8).reshape(self.height, self.width, self.channels)
        return array[:, :, ::-1] if self.color == "BGR" else array

    def _source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of the source the network sees: (left, top, right, bottom) in its pixels.

        Cutting before scaling gives the same picture as scaling then cutting, in one resampling.
        """
        if self.resize == "stretch":
            return 0.0, 0.0, float(width), float(height)
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        box_w, box_h = self.width * scale, self.height * scale
        left, top = (width - box_w) / 2, (height - box_h) / 2
        return left, top, left + box_w, top + box_h

    def normalize(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (..., channels) -> float32 of the same shape: (pixel - mean) / std."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return (pixels.astype(np.float32) - mean) / std

    def table(self) -> npt.NDArray[np.int8]:
        """int8 (channels, 256): the network's integer input for every 8-bit pixel value.

        Rounds half away from zero, as TFLite's Quantize does.
        """
        if self.input_scale is None or self.input_zero_point is None:
            raise UsageError("The input quantization is not known before the model is quantized.")
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], self.channels, axis=1)
        scaled = self.normalize(ramp).astype(np.float64) / self.input_scale
        rounded = np.trunc(scaled + np.copysign(0.5, scaled)) + self.input_zero_point
        return np.ascontiguousarray(np.clip(rounded, -128, 127).astype(np.int8).T)

    def quantize(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
        """uint8 (..., channels) -> int8 of the same shape, by the table."""
        table = self.table()
        out = np.empty(pixels.shape, np.int8)
        for channel in range(self.channels):
            out[..., channel] = table[channel][pixels[..., channel]]
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain values for the manifest; `from_json` reads them back."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Preprocessing:
        """The contract a manifest holds."""
        return Preprocessing(**{**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])})
