from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.data import folder_split
from edgekit.data.folder_split import FolderSplit, PixelCache
from edgekit.errors import InputError
from edgekit.preprocessing import Preprocessing

CONTRACT = Preprocessing(6, 8, resize="center_crop")


@pytest.fixture
def split(tmp_path: Path, make_classes) -> FolderSplit:
    make_classes(tmp_path, a=5)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    return FolderSplit(tmp_path, names, np.zeros(5, np.int64), PixelCache())


def test_pixels_are_the_contracts(split: FolderSplit, tmp_path: Path) -> None:
    pixels = split.pixels([3, 0, 3], CONTRACT)
    assert pixels.shape == (3, 6, 8, 3) and pixels.dtype == np.uint8
    for row, index in enumerate((3, 0, 3)):
        with Image.open(tmp_path / split.name(index)) as image:
            assert np.array_equal(pixels[row], CONTRACT.pixels(image))
    assert split.pixels(np.array([], np.int64), CONTRACT).shape == (0, 6, 8, 3)


def test_second_reading_decodes_nothing(
    split: FolderSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = split.pixels(range(5), CONTRACT)

    def never(path: Path) -> Image.Image:
        raise AssertionError(f"{path} decoded again")

    monkeypatch.setattr(folder_split, "read_picture", never)
    assert np.array_equal(split.pixels(range(5), CONTRACT), first)
    # Normalization does not touch pixels, geometry does.
    other_mean = Preprocessing(6, 8, resize="center_crop", mean=(0, 0, 0))
    assert np.array_equal(split.pixels(range(5), other_mean), first)
    for other in (
        CONTRACT.at(8, 8),
        replace(CONTRACT, crop_fraction=0.5),
        replace(CONTRACT, resize="stretch"),
        replace(CONTRACT, color="BGR"),
    ):
        with pytest.raises(AssertionError, match="decoded again"):
            split.pixels([0], other)


def test_changing_what_was_handed_out_changes_nothing(split: FolderSplit) -> None:
    first = split.pixels([0, 1], CONTRACT)
    expected = first.copy()
    first[...] = 0
    second = split.pixels([0, 1], CONTRACT)
    assert np.array_equal(second, expected)
    second[...] = 0
    assert np.array_equal(split.pixels([0, 1], CONTRACT), expected)


def test_cache_stays_within_its_limit_and_drops_the_oldest() -> None:
    cache = PixelCache(limit_bytes=30)
    for number in range(5):
        cache.put((str(number), ()), np.full(10, number, np.uint8))
        if number == 3:
            assert cache.get(("1", ())) is not None  # now the most recently used
    assert cache.held_bytes == 30
    kept = [number for number in range(5) if cache.get((str(number), ())) is not None]
    assert kept == [1, 3, 4]
    cache.put(("4", ()), np.full(10, 4, np.uint8))  # again: counted once, nothing dropped
    assert cache.held_bytes == 30
    assert cache.get(("1", ())) is not None


def test_a_set_larger_than_the_cache_reads_the_same(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path, a=9)
    names = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    cache = PixelCache(limit_bytes=2 * 6 * 8 * 3)
    small = FolderSplit(tmp_path, names, np.zeros(9, np.int64), cache)
    large = FolderSplit(tmp_path, names, np.zeros(9, np.int64), PixelCache())
    for _ in range(2):
        everything = small.pixels(range(9), CONTRACT)
        assert np.array_equal(everything, large.pixels(range(9), CONTRACT))
        assert cache.held_bytes <= 2 * 6 * 8 * 3


def test_broken_and_vanished_pictures_are_named(split: FolderSplit, tmp_path: Path) -> None:
    broken = tmp_path / split.name(2)
    broken.write_bytes(broken.read_bytes()[:60])
    (tmp_path / split.name(4)).unlink()
    with pytest.raises(InputError, match=r"-0002\.png"):
        split.pixels(range(5), CONTRACT)
    with pytest.raises(InputError, match=r"-0004\.png"):
        split.content(4)


def test_what_was_decoded_ahead_is_not_decoded_again(
    split: FolderSplit, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = split.pixels(range(5), CONTRACT.at(8, 8))
    read: list[Path] = []
    decode = folder_split.read_picture

    def counted(path: Path) -> Image.Image:
        read.append(path)
        return decode(path)

    monkeypatch.setattr(folder_split, "read_picture", counted)
    split._cache = PixelCache(limit_bytes=1)  # keeps nothing
    split.prefetch([0, 1, 2, 0], CONTRACT.at(8, 8))
    assert np.array_equal(split.pixels(range(5), CONTRACT.at(8, 8)), expected)
    assert len(read) == 5
    split.pixels([0], CONTRACT.at(8, 8))
    assert len(read) == 6, "handed out once"


def test_a_broken_picture_ahead_is_told_when_it_is_asked_for(
    split: FolderSplit, tmp_path: Path
) -> None:
    (tmp_path / split.name(2)).write_bytes(b"no picture")
    split.prefetch(range(5), CONTRACT)
    with pytest.raises(InputError, match=r"-0002\.png"):
        split.pixels(range(5), CONTRACT)


_EPOCH = """
import resource, sys
import numpy as np
from pathlib import Path
from edgekit.data.folder_split import FolderSplit, PixelCache
from edgekit.preprocessing import Preprocessing

root, contract = Path(sys.argv[1]), Preprocessing(256, 256)
names = sorted(path.name for path in root.iterdir())
cache = PixelCache(limit_bytes=4 << 20)
split = FolderSplit(root, names, np.zeros(len(names), np.int64), cache)
parts = np.array_split(np.random.default_rng(0).permutation(len(names)), len(names) // 16)
peak_kib = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
split.pixels(parts[0], contract)
before = peak_kib()
for part, following in zip(parts, [*parts[1:], parts[0]]):
    split.prefetch(following, contract)
    split.pixels(part, contract)
print(peak_kib() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_a_set_larger_than_its_memory_streams_from_disk(tmp_path: Path) -> None:
    for number in range(400):
        Image.new("RGB", (400, 300), (number % 256, 0, 0)).save(tmp_path / f"{number}.jpg")
    done = subprocess.run(
        [sys.executable, "-c", _EPOCH, str(tmp_path)], capture_output=True, text=True, check=True
    )
    # All of them are 75 MiB at the network's size and 137 as photographs; the cache is 4.
    assert int(done.stdout) < 40 << 10
