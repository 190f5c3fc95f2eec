from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data import load
from edgekit.errors import EdgekitError, InputError


def test_nothing_named_is_the_embedded_set() -> None:
    assert load().name == load("embedded").name == "fashion_mnist_embedded"


def test_a_folder_and_its_seed(tmp_path: Path, make_classes) -> None:
    make_classes(tmp_path, a=20, b=20)
    assert load(str(tmp_path), seed=5).provenance["seed"] == 5
    assert load(tmp_path).provenance["seed"] == 0


@pytest.mark.parametrize(
    "typo", ["fashion_mnsit", "fashion-mnist", "FashionMNIST", "fashion_minst"]
)
def test_typos_are_answered(typo: str) -> None:
    with pytest.raises(InputError, match=typo) as caught:
        load(typo)
    assert caught.value.hint == "Did you mean fashion_mnist?"


def test_a_missing_folder_lists_the_known_sets(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder or data set") as caught:
        load(tmp_path / "photos")
    assert "embedded" in caught.value.hint


def test_a_file_is_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "x.zip").touch()
    with pytest.raises(InputError, match="is a file"):
        load(tmp_path / "x.zip")


def test_names_that_name_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="is empty"):
        load("")
    with pytest.raises(InputError, match="no folder or data set '~nobody-here/x'"):
        load("~nobody-here/x")
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        load("x" * 5000)


def test_a_folder_nobody_may_look_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        load(tmp_path)


def test_the_full_set_by_name_is_there_or_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_FASHION_MNIST", str(tmp_path))
    with pytest.raises(EdgekitError, match=str(tmp_path)):
        load("fashion_mnist")
