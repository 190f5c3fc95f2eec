"""A folder of class folders -> a `Dataset` that decodes pictures from disk as they are asked for.

Enters: `folder/<class>/*.jpg`, or `folder/train/<class>/*.jpg` beside `test/`, `validation/` (also
`val/`, `valid/`) and `calibration/` folders, any of which may be missing and is then cut from the
training pictures (see `cut`). `calibration/` may hold pictures without class folders. Leaves: a
`Dataset`. Refused: no or one class, empty classes and splits, class sets that differ.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.data.cut import FRACTIONS, Picture, cut, distinct
from edgekit.data.dataset import Dataset, SplitName
from edgekit.data.folder_split import FolderSplit, PixelCache
from edgekit.data.pictures import FORMATS_HINT, SUFFIXES, is_hidden, picture_paths
from edgekit.errors import InputError
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent

_SPLIT_FOLDERS: Mapping[str, SplitName] = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "calibration": "calibration",
    "test": "test",
}
_LAYOUT_HINT = "A data set is a folder with a folder of pictures for each class."
_UNLABELLED = ""  # the label of calibration pictures that stand in no class folder

# Own photographs keep their aspect ratio, as a camera's frame does on the device, and the whole
# shorter side: ImageNet's customary 0.875 would cut away a quarter of a picture somebody framed.
_DEFAULTS = Preprocessing(height=1, width=1, resize="center_crop", crop_fraction=1.0)


@dataclass(frozen=True)
class _Found:
    """The pictures of one split folder by label, and how many other files were left out."""

    pictures: dict[str, list[Picture]]
    others: int

    def all(self) -> list[Picture]:
        return [picture for pictures in self.pictures.values() for picture in pictures]


def load(root: Path, seed: int = 0, progress: Progress = silent) -> Dataset:
    """Read the layout of a folder and cut the splits it lacks.

    Args:
        root: the folder.
        seed: of the cut.
        progress: told about files compared to find copies.

    Raises:
        InputError: see the module's docstring; each names the folder.
    """
    own = _own_splits(root)
    found = {split: _scan(root, folder, split) for split, folder in own.items()}
    labels = _check_labels(root, own, found)
    everything = [picture for part in found.values() for picture in part.all()]
    originals = distinct(root, everything, progress)
    parts, copies = cut({split: part.all() for split, part in found.items()}, originals, seed)
    _check_left(root, labels, parts)
    cache = PixelCache()
    target_of = {label: target for target, label in enumerate(labels)} | {_UNLABELLED: -1}
    splits: dict[SplitName, FolderSplit] = {
        split: FolderSplit(
            root,
            tuple(picture.name for picture in pictures),
            np.array([target_of[picture.label] for picture in pictures], np.int64),
            cache,
        )
        for split, pictures in parts.items()
    }
    return Dataset(
        name=root.resolve().name,
        labels=labels,
        splits=splits,
        defaults=_DEFAULTS,
        provenance=_provenance(root, labels, parts, own, seed),
        notes=_notes(copies, sum(part.others for part in found.values())),
    )


def _subfolders(folder: Path) -> list[Path]:
    children = [path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)]
    return sorted(children, key=lambda path: path.name)


def _own_splits(root: Path) -> dict[SplitName, Path]:
    """The split folders, or the root itself as train.

    "train" may be a class (beside "plane"); it is a split if it holds folders.
    """
    folders = _subfolders(root)
    if not folders:
        raise InputError(f"There are no class folders in {root}.", hint=_LAYOUT_HINT)
    named = [folder for folder in folders if folder.name.lower() in _SPLIT_FOLDERS]
    if not any(_subfolders(folder) for folder in named):
        flat = [folder.name for folder in named if folder.name.lower() != "train"]
        if flat:
            raise InputError(
                f"The folder '{flat[0]}' in {root} holds no class folders.",
                hint="A split folder stands beside train/ and holds a folder for each class.",
            )
        return {"train": root}
    others = [folder.name for folder in folders if folder not in named]
    if others:
        raise InputError(
            f"In {root}, '{others[0]}' stands beside '{named[0].name}', which holds class folders.",
            hint="Put every class folder into train/, or none.",
        )
    own: dict[SplitName, Path] = {}
    for folder in named:
        split = _SPLIT_FOLDERS[folder.name.lower()]
        if split in own:
            raise InputError(f"{own[split]} and {folder} are both the {split} split.")
        own[split] = folder
    if "train" not in own:
        raise InputError(f"There is no train folder beside {named[0]}.", hint=_LAYOUT_HINT)
    return own


def _scan(root: Path, folder: Path, split: SplitName) -> _Found:
    classes = _subfolders(folder)
    labelled = {path.name: path for path in classes}
    if not classes and split == "calibration":
        labelled = {_UNLABELLED: folder}
    pictures: dict[str, list[Picture]] = {}
    loose = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    others = len(loose) if classes else 0
    for label, path in labelled.items():
        paths, left_out = picture_paths(path)
        others += left_out
        pictures[label] = [
            Picture(file.relative_to(root).as_posix(), label, _size_bytes(file)) for file in paths
        ]
    if not any(pictures.values()):
        hint = f"{_LAYOUT_HINT} {FORMATS_HINT}"
        raise InputError(f"There are no {split} pictures in {folder}.", hint=hint)
    return _Found(pictures, others)


def _size_bytes(file: Path) -> int:
    try:
        size_bytes = file.stat().st_size
    except OSError as error:
        raise InputError(f"The picture {file} cannot be read: {error}.") from error
    if size_bytes == 0:
        raise InputError(f"The picture {file} is empty: 0 bytes.", hint="Replace or remove it.")
    return size_bytes


def _check_labels(
    root: Path, own: Mapping[SplitName, Path], found: Mapping[SplitName, _Found]
) -> tuple[str, ...]:
    """The sorted class names; every labelled split must have exactly these, none empty."""
    labels = tuple(sorted(found["train"].pictures))
    if len(labels) < 2:
        raise InputError(
            f"{root} has one class only, '{labels[0]}'; telling apart takes two.", hint=_LAYOUT_HINT
        )
    for split, part in found.items():
        empty = [label for label, pictures in part.pictures.items() if not pictures]
        if empty:
            raise InputError(
                f"The class folder {own[split] / empty[0]} holds no picture.", hint=FORMATS_HINT
            )
        here = set(part.pictures) - {_UNLABELLED}
        surplus, lacking = sorted(here - set(labels)), sorted(set(labels) - here)
        if surplus or (lacking and split != "calibration"):
            only = "; ".join(
                f"only in {where}: {', '.join(names)}"
                for where, names in ((own["train"].name, lacking), (own[split].name, surplus))
                if names
            )
            raise InputError(f"The classes of {root}'s splits differ ({only}).")
    return labels


def _check_left(
    root: Path, labels: tuple[str, ...], parts: Mapping[SplitName, list[Picture]]
) -> None:
    """No split, and no class of train, may have lost all its pictures as copies of others."""
    for split, pictures in parts.items():
        left = {picture.label for picture in pictures}
        lost = [label for label in labels if label not in left] if split == "train" else []
        if not pictures or lost:
            what = f"class '{lost[0]}' of {split}" if lost else split
            raise InputError(
                f"Every picture of {what} in {root} is a copy of one in another split.",
                hint="Remove the copies, or give this split pictures of its own.",
            )


def _provenance(
    root: Path,
    labels: tuple[str, ...],
    parts: Mapping[SplitName, list[Picture]],
    own: Mapping[SplitName, Path],
    seed: int,
) -> dict[str, Any]:
    """What was used; the checksum is over a line a picture: split, label, name, bytes."""
    digest = hashlib.sha256()
    for split in sorted(parts):
        for picture in parts[split]:
            line = f"{split}\t{picture.label}\t{picture.name}\t{picture.size_bytes}\n"
            digest.update(os.fsencode(line))
    return {
        "name": root.resolve().name,
        "source": "folder",
        "license": "unknown: the user's own pictures",
        "seed": seed,
        "labels": list(labels),
        "counts": {split: len(pictures) for split, pictures in parts.items()},
        "cut": {split: fraction for split, fraction in FRACTIONS.items() if split not in own},
        "samples_sha256": digest.hexdigest(),
    }


def _notes(copies: int, others: int) -> tuple[str, ...]:
    notes = []
    if copies:
        notes.append(f"{copies} pictures were left out: copies of pictures in a held-out split.")
    if others:
        notes.append(
            f"{others} files were left out: in no class folder, or not .jpg, .png, .bmp or .webp."
        )
    return tuple(notes)
