from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data.pictures import images, picture_paths, read_picture
from edgekit.errors import InputError


@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "bmp", "webp"])
def test_reads_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"red.{suffix}"
    Image.new("RGB", (5, 4), (200, 30, 30)).save(path)
    image = read_picture(path)
    assert image.size == (5, 4)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 30, 30)).max() < 8
    path.unlink()
    image.getpixel((0, 0))  # decoded in full: the file may go


def test_content_decides_the_format_not_the_suffix(tmp_path: Path) -> None:
    Image.new("L", (3, 3), 7).save(tmp_path / "really.png")
    (tmp_path / "really.png").rename(tmp_path / "named.jpg")
    assert read_picture(tmp_path / "named.jpg").getpixel((0, 0)) == 7


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP"])
def test_truncated_pictures_are_named(tmp_path: Path, kind: str) -> None:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(out, kind)
    whole = out.getvalue()
    for part in (0.1, 0.5, 0.9):
        path = tmp_path / f"cut-{part}.{kind.lower()}"
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(InputError, match=f"cut-{part}"):
            read_picture(path)


def test_corrupt_bytes_never_escape_as_another_error(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    noise = Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8))
    path = tmp_path / "fuzzed.bin"
    for kind in ("PNG", "JPEG", "BMP", "WEBP"):
        out = io.BytesIO()
        noise.save(out, kind)
        for _ in range(60):
            data = bytearray(out.getvalue())
            for at in random.integers(0, min(len(data), 120), 3):
                data[at] = random.integers(256)
            path.write_bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's own remarks about odd files
                try:
                    read_picture(path)
                except InputError as error:
                    assert "fuzzed.bin" in str(error)


def test_a_png_broken_between_its_chunks(tmp_path: Path) -> None:
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(out, "PNG")
    data = out.getvalue()
    second = data.find(b"IDAT", data.find(b"IDAT") + 4)
    assert second > 0
    (tmp_path / "broken.png").write_bytes(data[:second] + b"\0\1!!" + data[second + 4 :])
    with pytest.raises(InputError, match=r"broken\.png cannot be decoded"):
        read_picture(tmp_path / "broken.png")


def test_too_large_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (30, 30)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"huge\.png is too large"):
        read_picture(tmp_path / "huge.png")


def test_refuses_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"text\.png is not a picture"):
        read_picture(tmp_path / "text.png")
    with pytest.raises(InputError, match=r"no picture .*missing\.png"):
        read_picture(tmp_path / "missing.png")
    with pytest.raises(InputError):
        read_picture(tmp_path)


def test_walks_a_folder_in_order(tmp_path: Path, write_picture) -> None:
    for name in ("b/z.png", "b/a.jpg", "a.webp", "B/upper.bmp", ".cache/hidden.png"):
        write_picture(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("")
    (tmp_path / ".DS_Store").write_text("")
    paths, others = picture_paths(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in paths]
    assert names == ["B/upper.bmp", "a.webp", "b/a.jpg", "b/z.png"]
    assert others == 1  # notes.txt; hidden files are nobody's loss
    assert [name for name, _ in images(tmp_path)] == names
    assert [name for name, _ in images(str(tmp_path / "a.webp"))] == ["a.webp"]


def test_images_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no picture in"):
        list(images(tmp_path))
    with pytest.raises(InputError, match="There is no picture"):
        list(images(tmp_path / "missing"))
