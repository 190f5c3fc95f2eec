from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.data.cut import FRACTIONS, Picture, cut, distinct
from edgekit.data.dataset import SplitName
from edgekit.errors import InputError


def _class(label: str, count: int, folder: str = "") -> list[Picture]:
    return [Picture(f"{folder}{label}/{i:05}.png", label, 100) for i in range(count)]


def _all_different(*parts: list[Picture]) -> dict[str, str]:
    return {picture.name: picture.name for part in parts for picture in part}


def _split_of(parts: dict[SplitName, list[Picture]]) -> dict[str, SplitName]:
    return {picture.name: split for split, pictures in parts.items() for picture in pictures}


@given(st.lists(st.integers(4, 60), min_size=2, max_size=4), st.integers(0, 3), st.randoms())
def test_cut_is_a_stratified_partition_that_forgets_file_order(sizes, seed, random) -> None:
    train = [p for label, size in enumerate(sizes) for p in _class(f"c{label}", size)]
    originals = _all_different(train)
    parts, copies = cut({"train": train}, originals, seed)
    assert copies == 0
    assert sorted(_split_of(parts)) == sorted(originals)  # each once
    for label, size in enumerate(sizes):
        for split, fraction in FRACTIONS.items():
            here = sum(picture.label == f"c{label}" for picture in parts[split])
            assert here == max(1, round(size * fraction))
    random.shuffle(train)
    assert cut({"train": train}, originals, seed)[0] == parts


@given(st.integers(0, 9), st.data())
def test_copies_never_part(seed, data) -> None:
    train = _class("a", 30) + _class("b", 30)
    names = [picture.name for picture in train]
    groups = data.draw(st.lists(st.integers(0, 45), min_size=60, max_size=60))
    first: dict[int, str] = {}
    originals = {
        name: first.setdefault(group, name) for name, group in zip(names, groups, strict=True)
    }
    try:
        parts, copies = cut({"train": train}, originals, seed)
    except InputError:
        return  # all of b copies a
    split_of = _split_of(parts)
    assert copies == 0 and sorted(split_of) == names
    assert all(split_of[name] == split_of[original] for name, original in originals.items())


def test_seed_changes_the_cut() -> None:
    train = _class("a", 50) + _class("b", 50)
    first, second = (cut({"train": train}, _all_different(train), seed)[0] for seed in (0, 1))
    assert first["test"] != second["test"]


def test_calibration_is_capped() -> None:
    train = _class("a", 9000) + _class("b", 9000)
    parts, _ = cut({"train": train}, _all_different(train), 0)
    assert {split: len(pictures) for split, pictures in parts.items()} == {
        "train": 18000 - 3600 - 1800 - 1000,
        "test": 3600,
        "validation": 1800,
        "calibration": 1000,
    }


def test_own_splits_stay_and_copies_leave_the_less_held_out_one() -> None:
    own: dict[SplitName, list[Picture]] = {
        "train": _class("a", 10, "train/") + _class("b", 10, "train/"),
        "test": _class("a", 3, "test/") + _class("b", 3, "test/"),
        "validation": _class("a", 2, "val/") + _class("b", 2, "val/"),
    }
    originals = _all_different(*own.values())
    originals["train/a/00004.png"] = originals["test/a/00001.png"] = "copied"
    originals["val/b/00000.png"] = "test/b/00000.png"
    parts, copies = cut(own, originals, 0)
    assert copies == 2
    assert parts["test"] == own["test"]
    assert [p.name for p in parts["validation"]] == [
        "val/a/00000.png", "val/a/00001.png", "val/b/00001.png",
    ]  # fmt: skip
    assert len(parts["calibration"]) == 2  # cut from what is left of train: 9 and 10
    assert "train/a/00004.png" not in _split_of(parts)


def test_same_bytes_under_two_labels_go_to_one_split() -> None:
    train = _class("a", 20) + _class("b", 20)
    originals = _all_different(train) | {"b/00000.png": "a/00000.png"}
    for seed in range(10):
        split_of = _split_of(cut({"train": train}, originals, seed)[0])
        assert split_of["a/00000.png"] == split_of["b/00000.png"]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_class_too_small_to_cut(count: int) -> None:
    train = _class("many", 10) + _class("few", count)
    with pytest.raises(InputError, match=f"'few' has {count} different.*at least 4"):
        cut({"train": train}, _all_different(train), 0)


def test_class_of_nothing_but_copies_of_another_class() -> None:
    train = _class("a", 10) + _class("b", 2)
    originals = _all_different(train) | {"b/00000.png": "a/00000.png", "b/00001.png": "a/00001.png"}
    with pytest.raises(InputError, match="'b' has 0 different"):
        cut({"train": train}, originals, 0)


def test_distinct_compares_bytes_not_names(tmp_path: Path) -> None:
    contents = {"a/1": b"one", "b/2": b"two", "b/9": b"one", "c/3": b"longer", "a/0": b"two"}
    pictures = []
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
        pictures.append(Picture(name, name[0], len(data)))
    told = []
    originals = distinct(tmp_path, pictures, lambda *news: told.append(news))
    assert originals == {"a/1": "a/1", "b/9": "a/1", "b/2": "a/0", "a/0": "a/0", "c/3": "c/3"}
    assert told == [("compare files", 4, 4)]  # the longer file is read by nobody
