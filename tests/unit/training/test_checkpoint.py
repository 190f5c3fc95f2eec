import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from safetensors.torch import save_file
from training_cases import assert_equal_states

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.preprocessing import Preprocessing
from edgekit.training import checkpoint
from edgekit.training.checkpoint import Folder
from edgekit.training.optimizer import Weights
from edgekit.training.records import EpochRecord, Position, Trained

RECORD = EpochRecord(1, 32, 32, 0.1, 1.5, 1.2, 61.0, 640, 2.5)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    return Folder.of({"model": "m", "recipe": {"seed": 0}})


def trained(value: float = 1.0) -> Trained:
    state = {"a": torch.full((2, 3), value), "count": torch.tensor(7)}
    return Trained(state, (RECORD,), 61.0)


def position() -> Position:
    vectors = [torch.randn(5) for _ in range(3)]
    return Position(Weights(*vectors, averaged=4), 2, [0.1, 0.2], 1.5, [RECORD])


def test_the_folder_follows_from_the_origin(folder: Folder, tmp_path: Path) -> None:
    assert folder.path.parent == tmp_path / "checkpoints"
    assert Folder.of({"recipe": {"seed": 0}, "model": "m"}) == folder
    assert Folder.of({"model": "m", "recipe": {"seed": 1}}).path != folder.path


def test_a_finished_training_is_found_again(folder: Folder) -> None:
    assert checkpoint.load(folder) is None
    checkpoint.save(folder, trained())
    found = checkpoint.load(folder)
    assert found is not None
    assert found.from_cache
    assert found.history == (RECORD,)
    assert found.validation_top1 == 61.0
    assert_equal_states(found.state, trained().state)


def test_the_record_tells_what_was_trained_and_how(folder: Folder) -> None:
    path = checkpoint.save(folder, trained())
    record = json.loads(folder.record.read_text())
    assert record["model"] == "m"
    assert record["history"][0]["validation_top1"] == 61.0
    assert record["weights_sha256"] in path.name


def test_saving_again_replaces_the_weights(folder: Folder) -> None:
    checkpoint.save(folder, trained(1.0))
    checkpoint.save(folder, trained(2.0))
    found = checkpoint.load(folder)
    assert found is not None
    assert_equal_states(found.state, trained(2.0).state)


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", ["flipped", "missing", "truncated record", "other record"])
def test_damage_is_noticed(folder: Folder, damage: str) -> None:
    path = checkpoint.save(folder, trained())
    if damage == "flipped":
        flip_a_byte(path)
    elif damage == "missing":
        path.unlink()
    elif damage == "truncated record":
        folder.record.write_text(folder.record.read_text()[:-40])
    else:
        folder.record.write_text("{}")
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(folder)


def test_a_position_comes_back_exactly(folder: Folder) -> None:
    assert checkpoint.load_position(folder) is None
    saved = position()
    checkpoint.save_position(folder, saved)
    found = checkpoint.load_position(folder)
    assert found is not None
    for name in ("values", "velocity", "average"):
        assert torch.equal(getattr(found.weights, name), getattr(saved.weights, name))
    assert found.weights.averaged == 4
    assert (found.epoch, found.losses, found.seconds) == (2, [0.1, 0.2], 1.5)
    assert found.history == [RECORD]


@pytest.mark.parametrize("kept", [0, 5, 100, 300])
def test_a_truncated_position_is_noticed(folder: Folder, kept: int) -> None:
    checkpoint.save_position(folder, position())
    folder.position.write_bytes(folder.position.read_bytes()[:kept])
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load_position(folder)


def test_finishing_removes_what_the_interruption_left(folder: Folder) -> None:
    checkpoint.save_position(folder, position())
    checkpoint.save_interrupted(folder, trained())
    path = checkpoint.save(folder, trained())
    assert set(folder.path.iterdir()) == {path, folder.record}


def test_a_write_that_fails_leaves_the_old_file(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(folder, trained(1.0))

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left") as caught:
        checkpoint.save(folder, trained(2.0))
    assert "EDGEKIT_CACHE" in caught.value.hint
    found = checkpoint.load(folder)
    assert found is not None
    assert_equal_states(found.state, trained(1.0).state)
    assert len(list(folder.path.iterdir())) == 2


def test_a_cache_that_is_no_folder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("EDGEKIT_CACHE", str(blocked))
    with pytest.raises(OutputError, match="cannot be written"):
        checkpoint.save(Folder.of({}), trained())


def test_no_place_for_a_cache_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("EDGEKIT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(UsageError, match="no home folder") as caught:
        Folder.of({})
    assert "EDGEKIT_CACHE" in caught.value.hint


@pytest.mark.parametrize("save", [checkpoint.save, checkpoint.save_interrupted])
def test_weights_carry_their_preprocessing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    contract = Preprocessing(32, 24, color="BGR", resize="center_crop", mean=(1.1, 2, 3))
    path = save(Folder.of({"preprocessing": contract.to_json()}), trained())
    elsewhere = path.rename(tmp_path / "mine.safetensors")
    assert checkpoint.preprocessing_in(elsewhere) == contract


def test_files_that_say_nothing_about_preprocessing(folder: Folder, tmp_path: Path) -> None:
    assert checkpoint.preprocessing_in(checkpoint.save(folder, trained())) is None
    for name in ("absent.safetensors", "noise.safetensors", "weights.pth"):
        if not name.startswith("absent"):
            (tmp_path / name).write_bytes(b"\x80no checkpoint" * 9)
        assert checkpoint.preprocessing_in(tmp_path / name) is None


@pytest.mark.parametrize("said", ["{", "[]", '{"height": 32}', '{"height": 0, "width": 1}', "1"])
def test_damaged_preprocessing_is_refused(tmp_path: Path, said: str) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(trained().state, path, {"edgekit": f'{{"preprocessing": {said}}}'})
    with pytest.raises(InputError, match=r"weights.safetensors' says of itself is damaged"):
        checkpoint.preprocessing_in(path)
