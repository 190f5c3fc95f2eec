from __future__ import annotations

import gzip
import importlib.util
import struct
from pathlib import Path

import numpy as np
import pytest

from edgekit.data import embedded, fashion_mnist
from edgekit.errors import InputError, MissingToolError
from edgekit.resources import calibration_dir

SOURCE = fashion_mnist.source_folder()
needs_source = pytest.mark.skipif(
    not SOURCE.is_dir(),
    reason="missing Debian package dataset-fashion-mnist (or set EDGEKIT_FASHION_MNIST)",
)


def test_missing_package_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError) as caught:
        fashion_mnist.load(tmp_path)
    assert "apt-get install dataset-fashion-mnist" in caught.value.hint


def test_other_files_are_refused(tmp_path: Path) -> None:
    for name in fashion_mnist.SOURCE_SHA256:
        data = struct.pack(">HBB3I", 0, 8, 3, 1, 28, 28) + bytes(784)
        (tmp_path / f"{name}-ubyte.gz").write_bytes(gzip.compress(data))
    with pytest.raises(InputError, match="not Fashion-MNIST's published file"):
        fashion_mnist.load(tmp_path)


@needs_source
def test_full_set_holds_out_the_same_pictures_as_the_embedded_one() -> None:
    full, subset = fashion_mnist.load(), embedded.load()
    sizes = {split: len(part) for split, part in full.splits.items()}
    assert sizes == {"train": 57_500, "validation": 1500, "calibration": 1000, "test": 10_000}
    for split in ("validation", "calibration", "test"):
        here, there = full.splits[split], subset.splits[split]
        assert np.array_equal(here.targets, there.targets)
        every = range(0, len(here), 7)
        assert [here.name(i) for i in every] == [there.name(i) for i in every]
        assert all(here.content(i) == there.content(i) for i in every)
    held_out = {full.splits["validation"].name(i) for i in range(1500)}
    assert not held_out & {full.splits["train"].name(i) for i in range(57_500)}


@needs_source
def test_committed_files_are_what_the_script_chooses() -> None:
    path = calibration_dir() / "make_fashion_mnist.py"
    spec = importlib.util.spec_from_file_location("make_fashion_mnist", path)
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.check(fashion_mnist.read(SOURCE), calibration_dir() / "fashion_mnist")
