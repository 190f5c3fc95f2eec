"""Who goes where: pictures of a folder -> disjoint splits, stratified, seeded, free of copies.

Enters: the pictures of the split folders that exist (always train), and which are copies of which.
Leaves: all four splits. A missing split is cut from train, class by class: `FRACTIONS` of the
class's distinct pictures, at least one, in the order of SHA-256 over seed and name. Pictures with
the same bytes never stand in two splits: of the splits the user made, test goes before validation,
calibration and train. Refused: classes too small to be cut.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.data.choice import shuffled
from edgekit.data.dataset import SplitName
from edgekit.data.pictures import read_bytes
from edgekit.errors import InputError
from edgekit.progress import Progress, silent

# Of the training pictures, for each split the folder lacks, in the order they are cut.
FRACTIONS: Mapping[SplitName, float] = {"test": 0.2, "validation": 0.1, "calibration": 0.1}
CALIBRATION_LIMIT = 1000  # pictures over all classes: ranges settle well before

_ORDER: tuple[SplitName, ...] = ("train", "validation", "calibration", "test")


@dataclass(frozen=True)
class Picture:
    """A picture file.

    Attributes:
        name: path under the data set's folder, with forward slashes.
        label: its class.
        size_bytes: of the file.
    """

    name: str
    label: str
    size_bytes: int


def distinct(
    root: Path, pictures: Iterable[Picture], progress: Progress = silent
) -> dict[str, str]:
    """Picture name -> name of the first picture with the same bytes (its own, if it is the first).

    Reads only files whose size another one shares.
    """
    by_size: dict[int, list[str]] = defaultdict(list)
    for picture in pictures:
        by_size[picture.size_bytes].append(picture.name)
    originals = {name: name for names in by_size.values() for name in names}
    suspects = sorted(names for names in by_size.values() if len(names) > 1)
    total, done = sum(map(len, suspects)), 0
    for names in suspects:
        first: dict[bytes, str] = {}
        for name in sorted(names):
            digest = hashlib.sha256(read_bytes(root / name)).digest()
            originals[name] = first.setdefault(digest, name)
            done += 1
        progress("compare files", done, total)
    return originals


def cut(
    own: Mapping[SplitName, list[Picture]], originals: Mapping[str, str], seed: int
) -> tuple[dict[SplitName, list[Picture]], int]:
    """The four splits, each sorted by name, and how many copies were left out.

    Args:
        own: pictures of the split folders the user made, "train" among them.
        originals: from `distinct`.
        seed: of the cut.

    Raises:
        InputError: a class has too few distinct pictures to be cut.
    """
    home: dict[str, SplitName] = {}  # original -> the split of its bytes
    for split in FRACTIONS:
        for picture in own.get(split, ()):
            home.setdefault(originals[picture.name], split)
    _cut_missing(own, originals, seed, home)
    parts: dict[SplitName, list[Picture]] = {split: [] for split in _ORDER}
    copies = 0
    for folder, pictures in own.items():
        for picture in pictures:
            split = home.get(originals[picture.name], "train")
            if split == folder or (folder == "train" and split not in own):
                parts[split].append(picture)
            else:
                copies += 1
    for part in parts.values():
        part.sort(key=lambda picture: picture.name)
    return parts, copies


def _cut_missing(
    own: Mapping[SplitName, list[Picture]],
    originals: Mapping[str, str],
    seed: int,
    home: dict[str, SplitName],
) -> None:
    """Give some originals of the training folder a home in the splits the user did not make."""
    missing = [split for split in FRACTIONS if split not in own]
    if not missing:
        return
    classes: dict[str, dict[str, None]] = defaultdict(dict)  # ordered sets
    taken = set(home)
    for picture in own["train"]:
        original = originals[picture.name]
        names = classes[picture.label]
        if original not in taken:
            taken.add(original)  # bytes under two labels count for the first one only
            names[original] = None
    limit = max(1, CALIBRATION_LIMIT // len(classes))
    for label, names in classes.items():
        order = shuffled(names, seed)
        if len(order) <= len(missing):
            raise InputError(
                f"Class '{label}' has {len(order)} different pictures; cutting "
                f"{', '.join(missing)} from it takes at least {len(missing) + 1}.",
                hint="Add pictures, or folders for these splits.",
            )
        sizes = {split: max(1, round(len(names) * FRACTIONS[split])) for split in missing}
        if "calibration" in sizes:
            sizes["calibration"] = min(sizes["calibration"], limit)
        for split, count in sizes.items():
            home.update(dict.fromkeys(order[:count], split))
            order = order[count:]
