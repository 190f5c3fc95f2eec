from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import folder
from edgekit.data.dataset import Dataset
from edgekit.errors import InputError


def _names(dataset: Dataset, split: str) -> list[str]:
    part = dataset.splits[split]
    return [part.name(index) for index in range(len(part))]


def _counts(dataset: Dataset) -> dict[str, int]:
    return {split: len(part) for split, part in dataset.splits.items()}


def test_class_folders_are_cut_and_disjoint(tmp_path: Path, make_classes) -> None:
    dataset = folder.load(make_classes(tmp_path, dogs=20, cats=30))
    assert dataset.labels == ("cats", "dogs")
    assert _counts(dataset) == {"train": 30, "validation": 5, "calibration": 5, "test": 10}
    names = [name for split in dataset.splits for name in _names(dataset, split)]
    assert len(set(names)) == len(names) == 50
    for split, part in dataset.splits.items():
        assert part.targets.dtype == np.int64
        labels = [name.split("/")[0] for name in _names(dataset, split)]
        assert [dataset.labels[target] for target in part.targets] == labels
    assert dataset.notes == ()
    assert dataset.preprocessing(96, 96).resize == "center_crop"


def test_same_seed_same_splits_other_seed_others(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path, a=20, b=20)
    first, again, other = (folder.load(tmp_path, seed) for seed in (0, 0, 1))
    assert first.provenance == again.provenance
    assert _names(first, "test") == _names(again, "test") != _names(other, "test")
    assert first.provenance["samples_sha256"] != other.provenance["samples_sha256"]


def test_provenance_is_plain_and_says_what_was_cut(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path / "photos" / "train", a=20, b=20)
    make_classes(tmp_path / "photos" / "test", a=3, b=3)
    dataset = folder.load(tmp_path / "photos", 7)
    stored = json.loads(json.dumps(dataset.provenance))
    assert stored["name"] == dataset.name == "photos"
    assert stored["seed"] == 7
    assert stored["cut"] == {"validation": 0.1, "calibration": 0.1}
    assert stored["counts"] == _counts(dataset)
    assert str(tmp_path) not in json.dumps(stored)  # the same data elsewhere: the same manifest


def test_own_splits_are_respected(tmp_path: Path, make_classes) -> None:
    for split, count in (("train", 8), ("test", 4), ("val", 3), ("calibration", 2)):
        make_classes(tmp_path / split, a=count, b=count)
    dataset = folder.load(tmp_path)
    assert _counts(dataset) == {"train": 16, "validation": 6, "calibration": 4, "test": 8}
    assert all(name.startswith("val/") for name in _names(dataset, "validation"))


def test_calibration_may_be_unlabelled(tmp_path: Path, make_classes, write_picture) -> None:
    make_classes(tmp_path / "train", a=8, b=8)
    write_picture(tmp_path / "calibration" / "any.jpg")
    write_picture(tmp_path / "calibration" / "other.png")
    dataset = folder.load(tmp_path)
    assert dataset.splits["calibration"].targets.tolist() == [-1, -1]


def test_train_may_be_a_class(tmp_path: Path, make_classes) -> None:
    assert folder.load(make_classes(tmp_path, train=5, plane=5)).labels == ("plane", "train")


def test_copies_never_stand_in_two_splits(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path, a=20, b=20)
    for number in range(20):
        shutil.copy(
            tmp_path / "a" / f"{tmp_path.name}-{number:04}.png",
            tmp_path / "a" / f"copy{number}.png",
        )
    dataset = folder.load(tmp_path)
    contents: dict[bytes, set[str]] = {}
    for split, part in dataset.splits.items():
        for index in range(len(part)):
            contents.setdefault(part.content(index), set()).add(split)
    assert len(contents) == 40
    assert all(len(splits) == 1 for splits in contents.values())
    assert sum(_counts(dataset).values()) == 60


def test_test_pictures_leave_the_users_train_folder(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path / "train", a=10, b=10)
    make_classes(tmp_path / "test", a=4, b=4)
    shutil.copy(tmp_path / "test" / "a" / "test-0001.png", tmp_path / "train" / "a" / "leak.png")
    dataset = folder.load(tmp_path)
    assert "test/a/test-0001.png" in _names(dataset, "test")
    assert not any("leak" in name for split in dataset.splits for name in _names(dataset, split))
    assert "1 pictures were left out" in dataset.notes[0]


def test_other_files_are_counted_and_hidden_ones_are_not(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path, a=5, b=5)
    (tmp_path / "a" / "readme.txt").write_text("x")
    (tmp_path / "a" / ".DS_Store").write_text("x")
    (tmp_path / ".git").mkdir()
    shutil.copy(tmp_path / "a" / f"{tmp_path.name}-0000.png", tmp_path / "loose.png")
    dataset = folder.load(tmp_path)
    assert dataset.labels == ("a", "b")
    assert dataset.notes[0].startswith("2 files were left out")


def _no_classes(root: Path, make, write) -> None:
    write(root / "a.png")


def _one_class(root: Path, make, write) -> None:
    make(root, only=9)


def _empty_class(root: Path, make, write) -> None:
    make(root, full=9, empty=0)


def _all_empty(root: Path, make, write) -> None:
    make(root, a=0, b=0)


def _zero_calibration(root: Path, make, write) -> None:
    make(root / "train", a=9, b=9)
    (root / "calibration").mkdir()


def _classes_differ(root: Path, make, write) -> None:
    make(root / "train", a=9, b=9)
    make(root / "test", a=9, c=9)


def _strange_calibration_class(root: Path, make, write) -> None:
    make(root / "train", a=9, b=9)
    make(root / "calibration", d=9)


def _mixed_layout(root: Path, make, write) -> None:
    make(root / "train", a=9, b=9)
    make(root, extra=9)


def _no_train(root: Path, make, write) -> None:
    make(root / "test", a=9, b=9)


def _twice_validation(root: Path, make, write) -> None:
    for split in ("train", "val", "valid"):
        make(root / split, a=9, b=9)


def _flat_test(root: Path, make, write) -> None:
    make(root, cats=9, test=9)


def _empty_file(root: Path, make, write) -> None:
    make(root, a=9, b=9)
    (root / "a" / "nothing.jpg").touch()


def _too_few(root: Path, make, write) -> None:
    make(root, a=9, b=3)


def _all_train_in_test(root: Path, make, write) -> None:
    for split in ("train", "validation", "calibration"):
        make(root / split, a=9, b=9)
    make(root / "test", a=9)
    shutil.copytree(root / "train" / "b", root / "test" / "b")


def _all_validation_in_test(root: Path, make, write) -> None:
    for split in ("train", "test", "calibration"):
        make(root / split, a=9, b=9)
    shutil.copytree(root / "test", root / "val")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (_no_classes, "no class folders"),
        (_one_class, "one class only, 'only'"),
        (_empty_class, "empty holds no picture"),
        (_all_empty, "no train pictures"),
        (_zero_calibration, "no calibration pictures"),
        (_classes_differ, "only in train: b; only in test: c"),
        (_strange_calibration_class, "only in calibration: d"),
        (_mixed_layout, "'extra' stands beside 'train'"),
        (_no_train, "no train folder"),
        (_twice_validation, "both the validation split"),
        (_flat_test, "'test' .* holds no class folders"),
        (_empty_file, r"nothing\.jpg is empty"),
        (_too_few, "'b' has 3 different"),
        (_all_train_in_test, "class 'b' of train"),
        (_all_validation_in_test, "Every picture of validation"),
    ],
)
def test_refused_layouts(tmp_path: Path, make_classes, write_picture, build, message: str) -> None:
    build(tmp_path, make_classes, write_picture)
    with pytest.raises(InputError, match=message):
        folder.load(tmp_path)
