from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image
from support.graphs import GraphBuilder

from edgekit.convert import tflite_writer
from edgekit.errors import InputError, UsageError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Quantization
from edgekit.preprocessing import _JSON_TYPES, Preprocessing, flatten

BILINEAR = Image.Resampling.BILINEAR
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)  # (256, 3)


def _noise(height: int, width: int, channels: int | None = None, seed: int = 0) -> Any:
    shape = (height, width) if channels is None else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _stored(image: Image.Image, kind: str, **options: Any) -> Image.Image:
    """The picture as a file of that kind gives it back."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    out.seek(0)
    return Image.open(out)


# Geometry and colour


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(1, 40),
    st.sampled_from(["stretch", "center_crop"]), st.floats(0.05, 1.0),
)  # fmt: skip
def test_grey_resized_once_has_the_bytes_of_three_equal_channels(
    height, width, source_height, source_width, resize, crop
) -> None:
    contract = Preprocessing(height, width, resize=resize, crop_fraction=crop)
    grey = Image.fromarray(_noise(source_height, source_width))
    rgb = grey.convert("RGB")
    assert rgb.mode == "RGB"
    assert np.array_equal(contract.pixels(grey), contract.pixels(rgb))


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 400), st.floats(0.01, 1.0))
def test_center_crop_box_is_centred_undistorted_and_inside(
    source_width, source_height, side, crop
) -> None:
    contract = Preprocessing(side, 2 * side, resize="center_crop", crop_fraction=crop)
    left, top, right, bottom = contract._source_box(source_width, source_height)
    assert 0 <= left < right <= source_width and 0 <= top < bottom <= source_height
    assert left == pytest.approx(source_width - right, abs=1e-6)
    assert top == pytest.approx(source_height - bottom, abs=1e-6)
    assert (right - left) == pytest.approx(2 * (bottom - top), rel=1e-6, abs=1e-9)
    filled = max((right - left) / source_width, (bottom - top) / source_height)
    assert filled == pytest.approx(crop, rel=1e-6)


def test_crop_box_does_not_leave_the_picture_by_rounding() -> None:
    contract = Preprocessing(7, 7, resize="center_crop")
    assert 7 * (29 / 7) > 29  # which Pillow would refuse
    assert contract._source_box(29, 29) == (0, 0, 29, 29)
    assert contract.pixels(Image.new("L", (29, 29))).shape == (7, 7, 3)


@pytest.mark.parametrize("size", [(3, 1000), (1000, 3), (1, 1), (4032, 3024), (333, 777)])
def test_any_aspect_ratio_can_be_cropped(size: tuple[int, int]) -> None:
    contract = Preprocessing(31, 17, resize="center_crop", crop_fraction=0.875)
    assert np.all(contract.pixels(Image.new("RGB", size, (9, 8, 7))) == (9, 8, 7))


def test_center_crop_keeps_the_middle() -> None:
    columns = np.zeros((20, 60, 3), np.uint8)
    columns[:, 20:40] = 255  # the centred square
    pixels = Preprocessing(20, 20, resize="center_crop").pixels(Image.fromarray(columns))
    assert (pixels == 255).all()


def test_same_size_is_untouched_and_crop_equals_resize_then_cut() -> None:
    picture = _noise(24, 24, 3)
    assert np.array_equal(Preprocessing(24, 24).pixels(Image.fromarray(picture)), picture)
    # ImageNet's customary resize to 256, crop 224, here a quarter of both.
    large = Image.fromarray(_noise(128, 128, 3))
    scaled = np.asarray(large.resize((64, 64), BILINEAR))
    contract = Preprocessing(56, 56, resize="center_crop", crop_fraction=0.875)
    assert np.array_equal(contract.pixels(large), scaled[4:60, 4:60])


def test_colour_orders() -> None:
    picture = Image.fromarray(_noise(9, 7, 3))
    rgb = Preprocessing(5, 5).pixels(picture)
    bgr = Preprocessing(5, 5, color="BGR").pixels(picture)
    grey = Preprocessing(5, 5, color="L", mean=(0,), std=(1,)).pixels(picture)
    assert np.array_equal(bgr, rgb[:, :, ::-1])
    assert bgr.flags.c_contiguous and rgb.flags.c_contiguous
    assert np.array_equal(grey[:, :, 0], np.asarray(picture.convert("L").resize((5, 5), BILINEAR)))


def test_stack_is_pixels_of_each() -> None:
    contract = Preprocessing(6, 8, resize="center_crop")
    pictures = [Image.fromarray(_noise(20 + n, 30 - n, 3, seed=n)) for n in range(3)]
    pictures.append(Image.fromarray(_noise(11, 12)))
    stacked = contract.stack(pictures)
    assert stacked.dtype == np.uint8 and stacked.shape == (4, 6, 8, 3)
    assert all(map(np.array_equal, stacked, map(contract.pixels, pictures)))
    assert contract.stack([]).shape == (0, 6, 8, 3)


# Flattening


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_turns_the_picture_upright_once(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16] = 255  # white corner, top left
    # How a camera stores it: row 0 and column 0 of the file show which side of the scene
    # (Exif 2.32, 4.6.4 A): the inverse of the turn that shows it.
    store = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    image = _stored(Image.fromarray(np.ascontiguousarray(store)), kind, exif=exif, **options)
    flat = flatten(image)
    assert flat.size == (32, 16)
    assert np.abs(np.asarray(flat).astype(int) - upright).max() < 40  # JPEG is lossy
    assert np.array_equal(np.asarray(flatten(flat)), np.asarray(flat))
    assert np.array_equal(Preprocessing(16, 32).pixels(image), np.asarray(flat).reshape(16, 32, 3))


def test_broken_exif_does_not_matter() -> None:
    out = io.BytesIO()
    picture = Image.fromarray(_noise(8, 8, 3))
    picture.save(out, "PNG", exif=b"Exif\0\0XX*\0broken")
    assert np.array_equal(np.asarray(flatten(Image.open(out))), np.asarray(picture))


def test_16_bit_grey_keeps_its_high_byte() -> None:
    deep = np.array([[0, 255, 256, 0x1234, 0x8000, 65535]], np.uint16)
    for image in (
        Image.fromarray(deep),
        _stored(Image.fromarray(deep), "PNG"),
        Image.fromarray(deep.astype(np.int32)),  # mode I, as older Pillow opens such files
    ):
        assert np.asarray(flatten(image)).tolist() == [[0, 0, 1, 0x12, 0x80, 0xFF]]


def test_transparency_is_laid_over_white() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], np.uint8)
    expected = [[[10, 20, 30], [255, 255, 255], [127, 127, 127]]]
    assert np.asarray(flatten(Image.fromarray(rgba))).tolist() == expected
    assert np.asarray(flatten(_stored(Image.fromarray(rgba), "PNG"))).tolist() == expected
    levels, alpha = np.array([[10, 10]], np.uint8), np.array([[255, 0]], np.uint8)
    grey = Image.merge("LA", (Image.fromarray(levels), Image.fromarray(alpha)))
    assert np.asarray(flatten(grey))[..., 0].tolist() == [[10, 255]]
    keyed = _stored(Image.fromarray(np.array([[7, 9]], np.uint8)), "PNG", transparency=7)
    assert np.asarray(flatten(keyed))[..., 0].tolist() == [[255, 9]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([1, 2, 3, 4, 5, 6])
    palette.putpixel((1, 0), 1)
    keyed_palette = _stored(palette, "PNG", transparency=0)
    assert np.asarray(flatten(keyed_palette)).tolist() == [[[255, 255, 255], [4, 5, 6]]]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 99))
def test_opaque_alpha_changes_nothing(height, width, seed) -> None:
    rgb = Image.fromarray(_noise(height, width, 3, seed))
    rgba = rgb.copy()
    rgba.putalpha(255)
    assert np.array_equal(np.asarray(flatten(rgba)), np.asarray(rgb))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV"])
def test_every_mode_becomes_grey_or_rgb(mode: str) -> None:
    source = Image.fromarray(_noise(6, 6, 3)).convert("LA" if mode == "LA" else mode)
    flat = flatten(source)
    assert flat.mode == ("L" if mode in ("1", "L") else "RGB")
    assert Preprocessing(4, 4).pixels(source).shape == (4, 4, 3)


def test_cmyk_jpeg_reads_as_its_colours() -> None:
    picture = _stored(Image.new("RGB", (16, 16), (220, 40, 60)).convert("CMYK"), "JPEG")
    assert picture.mode == "CMYK"
    assert np.abs(Preprocessing(4, 4).pixels(picture).astype(int) - (220, 40, 60)).max() < 6


def test_floating_point_pictures_are_refused() -> None:
    with pytest.raises(InputError, match="floating-point"):
        flatten(Image.new("F", (2, 2)))


# Numbers

MEANS = st.tuples(*[st.sampled_from([0.0, 103.53, 116.28, 123.675, 127.5, 128.0])] * 3)
STDS = st.tuples(*[st.sampled_from([1.0, 57.12, 58.395, 127.5, 128.0, 255.0])] * 3)
SCALES = st.one_of(
    st.sampled_from([2 / 255, 1 / 128, 1 / 127.5, 1.0, 0.018658]), st.floats(1e-4, 2.0)
)


@given(MEANS, STDS, SCALES, st.integers(-128, 127))
@example((0.0,) * 3, (255.0,) * 3, 2 / 255, 0)
def test_table_is_tflite_micros_quantize_bit_for_bit(mean, std, scale, zero_point) -> None:
    tflm = pytest.importorskip("edgekit.emulate.tflm")
    pytest.importorskip("tflite_micro", reason="missing the tflite-micro wheel")
    contract = Preprocessing(1, 256, mean=mean, std=std).quantized(scale, zero_point)
    assert contract.input_scale is not None
    builder = GraphBuilder()
    quantization = Quantization.per_tensor(contract.input_scale, zero_point)
    out = builder.add(
        ops.Quantize(),
        builder.input("x", (1, 1, 256, 3)),
        quantization=quantization,
        dtype=DType.INT8,
    )
    model = tflite_writer.write(builder.build(out))
    (said,) = tflm.run(model, [contract.normalize(RAMP[None, None])])
    assert np.array_equal(said[0, 0].T, contract.table())


def test_rounding_is_half_away_from_zero() -> None:
    contract = Preprocessing(1, 1, mean=(2.5,) * 3, std=(1,) * 3).quantized(1.0, 0)
    assert contract.table()[0, :6].tolist() == [-3, -2, -1, 1, 2, 3]


def test_division_is_in_float32() -> None:
    # In float64, (3 / 255) / (2 / 255) of the float32 values lies below the tie at 1.5.
    contract = Preprocessing(1, 1, mean=(0,) * 3, std=(255,) * 3).quantized(2 / 255, 0)
    assert contract.input_scale is not None
    assert float(np.float32(3 / 255)) / contract.input_scale < 1.5
    assert contract.table()[0, 3] == 2


def test_default_makes_int8_pixel_minus_128() -> None:
    table = Preprocessing(1, 1).quantized(1 / 128, 0).table()
    assert np.array_equal(table, np.tile(np.arange(-128, 128, dtype=np.int8), (3, 1)))


def test_tiny_scales_saturate() -> None:
    table = Preprocessing(1, 1, std=(1e-3,) * 3).quantized(1e-38, 5).table()
    assert table[0].tolist() == [-128] * 128 + [5] + [127] * 127


def test_quantize_is_the_table_and_normalize_the_formula() -> None:
    contract = Preprocessing(
        4, 5, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)
    ).quantized(0.0187, -14)
    pixels = _noise(4, 5, 3)[None]
    table = contract.table()
    mean, std = (np.array(v, np.float32) for v in (contract.mean, contract.std))
    normalized, quantized = contract.normalize(pixels), contract.quantize(pixels)
    assert normalized.dtype == np.float32 and quantized.dtype == np.int8
    for at in np.ndindex(1, 4, 5, 3):
        assert quantized[at] == table[at[-1], pixels[at]]
        assert normalized[at] == (np.float32(pixels[at]) - mean[at[-1]]) / std[at[-1]]
    assert np.array_equal(contract.normalize(pixels[0, 0, 0]), normalized[0, 0, 0])


def test_table_needs_the_quantization() -> None:
    with pytest.raises(UsageError, match="not known before"):
        Preprocessing(1, 1).table()


# Values


@given(
    st.integers(1, 512), st.sampled_from(["RGB", "BGR"]), MEANS, STDS, SCALES,
    st.integers(-128, 127), st.floats(0.1, 1.0),
)  # fmt: skip
def test_json_round_trip(size, color, mean, std, scale, zero_point, crop) -> None:
    contract = Preprocessing(size, size + 1, color, "center_crop", crop, mean, std)
    for value in (contract, contract.quantized(scale, zero_point)):
        assert Preprocessing.from_json(json.loads(json.dumps(value.to_json()))) == value


def test_json_types_cover_every_field() -> None:
    assert set(_JSON_TYPES) == {field.name for field in fields(Preprocessing)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heigth": 3}, "unknown entries: heigth"),
        ({"height": None}, "ill-typed entries: height"),
        ({"height": 3.5}, "ill-typed"),
        ({"height": True}, "ill-typed"),
        ({"mean": "128"}, "ill-typed entries: mean"),
        ({"mean": [1, "2", 3]}, "ill-typed"),
        ({"input_zero_point": 0.5}, "ill-typed"),
        ({"color": "CMYK"}, "knows no colour"),
        ({"resize": "fill"}, "knows no resize"),
        ({"std": [1, 0, 1]}, "positive"),
        ({"std": [1, 1]}, "3 means"),
        ({"mean": [float("nan"), 0, 0]}, "finite"),
        ({"crop_fraction": 0}, "crop fraction"),
        ({"width": 0}, "1 to 8,192 pixels"),
        ({"height": 2**31}, "1 to 8,192 pixels"),
        ({"input_scale": -1.0, "input_zero_point": 0}, "positive, finite input scale"),
        ({"input_scale": 1.0, "input_zero_point": 200}, "zero point"),
        ({"input_scale": 1.0}, "come together"),
    ],
)
def test_refused_manifests(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preprocessing.from_json({"height": 8, "width": 8, **change})


def test_a_manifest_needs_a_size() -> None:
    with pytest.raises(InputError, match="missing entries: height, width"):
        Preprocessing.from_json({"color": "RGB"})


def test_direct_mistakes_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="1 to 8,192 pixels"):
        Preprocessing(0, 8)
    with pytest.raises(UsageError, match="1 means"):
        Preprocessing(8, 8, color="L")


def test_at_and_quantized_keep_the_rest() -> None:
    contract = Preprocessing(8, 8, color="BGR", resize="center_crop", crop_fraction=0.5)
    other = contract.at(9, 10).quantized(0.1, 3)
    assert other.shape == (9, 10, 3)
    assert (other.color, other.resize, other.crop_fraction) == ("BGR", "center_crop", 0.5)
    assert other.input_scale == float(np.float32(0.1))  # what a .tflite file stores
