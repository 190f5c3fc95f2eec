"""The preprocessing contract: how a picture becomes the numbers a network reads.

One frozen value travels along the whole line. Training, calibration, evaluation, the manifest, the
generated `run.py` and the firmware all use it, so they cannot disagree. The integer half is a
table: an 8-bit pixel has only 256 values a channel, so `quantized = table[channel, pixel]` is exact
everywhere, on a chip without floating point too.

Enters: a Pillow picture of any mode. Leaves: uint8 pixels, float32 reals, int8 inputs. Refused:
sizes, means and scales that make no sense (`UsageError`), manifests that hold anything else than
this contract (`InputError`).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from edgekit.errors import InputError, UsageError

Resize = Literal["stretch", "center_crop"]
Color = Literal["RGB", "BGR", "L"]

MAX_SIDE = 8192  # pixels; no network for these boards reads more
_ORIENTATION_TAG = 0x0112
# Exif 2.32, section 4.6.4 A: what turns a picture of each orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def flatten(image: Image.Image) -> Image.Image:
    """Any picture -> an upright, opaque, 8-bit one of mode L (grey) or RGB (everything else).

    Turned by its EXIF orientation, 16-bit grey cut to its high byte (Pillow's own conversion would
    saturate it at 255), transparency laid over white. A flattened picture flattens to itself.

    Raises:
        InputError: floating-point pictures, which have no fixed range.
    """
    orientation = _orientation(image)
    flat = _opaque(image)
    if orientation in _UPRIGHT:
        flat = flat.transpose(_UPRIGHT[orientation])
    if flat is not image:
        flat.info.clear()  # or a second flattening would turn the picture again
    return flat


def _orientation(image: Image.Image) -> int:
    if not image.info and not isinstance(image, ImageFile.ImageFile):
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1  # a broken EXIF block says nothing about the pixels


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise InputError("A picture of floating-point pixels has no fixed range.")
    if image.mode.startswith("I"):
        return Image.fromarray((np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8))
    if "transparency" in image.info or image.getbands()[-1] in ("A", "a"):
        opaque = image.convert("RGBA")
        white = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(white, opaque).convert("RGB")
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


@dataclass(frozen=True)
class Preprocessing:
    """Picture -> (height, width, channels) network input.

    Attributes:
        height, width: of the network's input, in pixels.
        color: channel order; grey pictures are repeated to three channels for RGB and BGR.
        resize: "stretch" ignores the aspect ratio; "center_crop" scales the shorter side and cuts.
        crop_fraction: with center_crop, the side of the kept square over the scaled shorter side
            (0.875 = resize to 256, crop 224).
        mean, std: per channel, in pixel units (0..255): real = (pixel - mean) / std. The default,
            128 and 128, is exact in binary: at scale 1/128 and zero point 0 the int8 input is
            pixel - 128, with nothing rounded.
        input_scale, input_zero_point: of the network's integer input; None before quantization.
    """

    height: int
    width: int
    color: Color = "RGB"
    resize: Resize = "stretch"
    crop_fraction: float = 1.0
    mean: tuple[float, ...] = (128.0, 128.0, 128.0)
    std: tuple[float, ...] = (128.0, 128.0, 128.0)
    input_scale: float | None = None
    input_zero_point: int | None = None

    def __post_init__(self) -> None:
        if self.color not in get_args(Color):
            raise UsageError(f"Preprocessing knows no colour '{self.color}'.", hint="RGB, BGR, L.")
        if self.resize not in get_args(Resize):
            raise UsageError(
                f"Preprocessing knows no resize '{self.resize}'.", hint="stretch, center_crop."
            )
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UsageError(
                f"Preprocessing needs {self.channels} means and deviations ({self.color})."
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise UsageError("Preprocessing needs finite means and positive, finite deviations.")
        if not 1 <= min(self.height, self.width) <= max(self.height, self.width) <= MAX_SIDE:
            raise UsageError(
                f"Preprocessing needs a height and a width of 1 to {MAX_SIDE:,} pixels."
            )
        if not 0 < self.crop_fraction <= 1:
            raise UsageError("Preprocessing's crop fraction lies in (0, 1].")
        self._check_quantization()

    def _check_quantization(self) -> None:
        scale, zero_point = self.input_scale, self.input_zero_point
        if (scale is None) != (zero_point is None):
            raise UsageError("An input scale and an input zero point come together.")
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise UsageError("Preprocessing needs a positive, finite input scale.")
        if zero_point is not None and not -128 <= zero_point <= 127:
            raise UsageError("An int8 input's zero point lies in [-128, 127].")

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
        """The same contract, with the network's input quantization (a float32 scale) filled in."""
        return replace(self, input_scale=float(np.float32(scale)), input_zero_point=int(zero_point))

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Flatten, colour, crop and resize: a picture -> uint8 (height, width, channels)."""
        out = np.empty(self.shape, np.uint8)
        self._paint(image, out)
        return out

    def stack(self, images: Sequence[Image.Image]) -> npt.NDArray[np.uint8]:
        """`pixels` of n pictures -> uint8 (n, height, width, channels)."""
        out = np.empty((len(images), *self.shape), np.uint8)
        for image, place in zip(images, out, strict=True):
            self._paint(image, place)
        return out

    def _paint(self, image: Image.Image, out: npt.NDArray[np.uint8]) -> None:
        """Write the pixels of `image` into `out`, uint8 (height, width, channels)."""
        flat = flatten(image)
        if self.color == "L" and flat.mode != "L":
            flat = flat.convert("L")
        box = self._source_box(flat.width, flat.height)
        resized = flat.resize((self.width, self.height), Image.Resampling.BILINEAR, box=box)
        array = np.asarray(resized)
        if array.ndim == 2:
            # Pillow resamples every channel alone, so resizing grey once and repeating it gives
            # the bytes of resizing three equal channels, in a third of the time.
            for channel in range(self.channels):
                out[:, :, channel] = array
        else:
            out[...] = array[:, :, ::-1] if self.color == "BGR" else array

    def _source_box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of the source the network sees: (left, top, right, bottom) in its pixels.

        Cutting before scaling gives the same picture as scaling then cutting, in one resampling:
        Pillow's filter reads past the box where the picture goes on.
        """
        if self.resize == "stretch":
            return 0.0, 0.0, float(width), float(height)
        scale = min(width / self.width, height / self.height) * self.crop_fraction
        box_w, box_h = self.width * scale, self.height * scale
        left, top = max(0.0, (width - box_w) / 2), max(0.0, (height - box_h) / 2)
        return left, top, min(left + box_w, float(width)), min(top + box_h, float(height))

    def normalize(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (..., channels) -> float32 of the same shape: (pixel - mean) / std."""
        # Row by row: NumPy takes four times as long to spread three numbers over each pixel.
        width = pixels.shape[-2] if pixels.ndim > 1 else 1
        rows = pixels.reshape(*pixels.shape[:-2], width * self.channels).astype(np.float32)
        rows -= np.tile(np.asarray(self.mean, np.float32), width)
        rows /= np.tile(np.asarray(self.std, np.float32), width)
        return rows.reshape(pixels.shape)

    def table(self) -> npt.NDArray[np.int8]:
        """int8 (channels, 256): the network's integer input for every 8-bit pixel value.

        TFLite's Quantize of the normalized pixel (its `AffineQuantize`): a float32 division by the
        float32 scale, rounded half away from zero, plus the zero point, saturated.

        Raises:
            UsageError: the input quantization is not known yet.
        """
        if self.input_scale is None or self.input_zero_point is None:
            raise UsageError("The input quantization is not known before the model is quantized.")
        ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], self.channels, axis=1)
        with np.errstate(over="ignore"):  # a tiny scale makes infinities, which saturate below
            scaled = (self.normalize(ramp) / np.float32(self.input_scale)).astype(np.float64)
        # Adding a half is exact in float64; in float32, 0.49999997 + 0.5 would become 1.
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
    def from_json(value: Mapping[str, Any]) -> Preprocessing:
        """The contract a manifest holds.

        Raises:
            InputError: unknown, missing or ill-typed entries, or values out of range.
        """
        if not isinstance(value, Mapping):
            raise InputError("The preprocessing of a manifest is not a table of entries.")
        unknown = set(value) - set(_JSON_TYPES)
        missing = {"height", "width"} - set(value)
        ill_typed = {k for k in value if k not in unknown and not _JSON_TYPES[k](value[k])}
        for what, keys in (("unknown", unknown), ("missing", missing), ("ill-typed", ill_typed)):
            if keys:
                named = ", ".join(sorted(keys))
                raise InputError(f"The preprocessing of a manifest has {what} entries: {named}.")
        lists = {key: tuple(map(float, value[key])) for key in ("mean", "std") if key in value}
        try:
            return Preprocessing(**{**value, **lists})
        except UsageError as error:
            raise InputError(str(error), hint=error.hint) from error


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_numbers(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_number, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_JSON_TYPES: dict[str, Callable[[object], bool]] = {
    "height": _is_int,
    "width": _is_int,
    "color": _is_text,
    "resize": _is_text,
    "crop_fraction": _is_number,
    "mean": _are_numbers,
    "std": _are_numbers,
    "input_scale": lambda value: value is None or _is_number(value),
    "input_zero_point": lambda value: value is None or _is_int(value),
}
