"""How pictures enter an architecture's network: as its weights were trained."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from safetensors.torch import save_file

from edgekit import data
from edgekit.errors import InputError
from edgekit.models.registry import resolve
from edgekit.preprocessing import Preprocessing
from edgekit.stages.entry import contract_of
from edgekit.stages.material import Material
from edgekit.stages.request import Request
from edgekit.training import checkpoint
from edgekit.training.checkpoint import Folder
from edgekit.training.records import Trained

SPEC = resolve("mobilenet_v1", 0.25, resolution=32, classes=10)
STATE = {"a": torch.zeros(2)}  # the contract does not hang on the weights themselves
TRAINED = Preprocessing(64, 64, "BGR", "center_crop", 0.5, (100, 110, 120), (50, 60, 70))


def contract(weights: Path | None, **options: Any) -> Preprocessing:
    request = Request(target="rpi", arch="mobilenet_v1", weights=weights, **options)
    dataset = data.load()
    material = Material(dataset, None, dataset.labels, None, {})
    return contract_of(request, SPEC, material)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A checkpoint as edgekit writes it."""
    folder = Folder(tmp_path / "training", {"preprocessing": TRAINED.to_json()})
    return checkpoint.save(folder, Trained(STATE, (), 0.0))


def test_weights_trained_here_keep_all_of_their_preprocessing(own: Path) -> None:
    assert contract(own) == TRAINED.at(32, 32)


def test_what_the_user_gives_wins(own: Path) -> None:
    found = contract(own, mean=(90.0,), color="RGB")
    assert (found.mean, found.std, found.color) == ((90, 90, 90), TRAINED.std, "RGB")
    assert contract(own, std=(1.0, 2.0, 3.0), resize="stretch").std == (1, 2, 3)


@pytest.mark.parametrize("name", ["published.safetensors", "published.pth", "absent.safetensors"])
def test_other_weights_have_the_architectures_mean(tmp_path: Path, name: str) -> None:
    if name.startswith("published"):
        (save_file if name.endswith("safetensors") else torch.save)(STATE, tmp_path / name)
    found = contract(tmp_path / name)
    assert found.mean == SPEC.mean == (127.5, 127.5, 127.5)
    assert found.resize == contract(None).resize


def test_without_weights_the_data_set_decides() -> None:
    assert contract(None) == data.load().preprocessing(32, 32)


def test_weights_for_pictures_of_other_channels_are_refused(tmp_path: Path) -> None:
    grey = Preprocessing(32, 32, "L", mean=(128,), std=(128,)).to_json()
    content = checkpoint.with_description(STATE, {"preprocessing": grey})
    (tmp_path / "grey.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="of 1 channels, mobilenet_v1 reads 3"):
        contract(tmp_path / "grey.safetensors")
