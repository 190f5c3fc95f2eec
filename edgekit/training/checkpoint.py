"""Trained and half-trained weights on disk, found again by what they were made from.

A training has a folder, named by the SHA-256 of everything its outcome depends on. In it stand

    training.json                 model, data, recipe, history, and the SHA-256 of its weights
    weights-<sha256>.safetensors  the trained weights
    position.safetensors          where a training stands that is not finished
    interrupted.safetensors       its averaged weights, if it was stopped

Weights carry in their file which model they are of and which preprocessing they were trained with,
for whoever takes the file elsewhere.
Every file is written beside its place and moved there in one step: a killed program leaves the old
file or the new one, and two programs that train the same do not disturb each other. Damaged files
are refused, never used.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from edgekit.errors import InputError, OutputError, UsageError
from edgekit.interruption import held_back
from edgekit.models.layers import PaddingMode
from edgekit.preprocessing import Preprocessing
from edgekit.resources import cache_dir
from edgekit.training.optimizer import Weights
from edgekit.training.recipe import REVISION
from edgekit.training.records import EpochRecord, Position, Trained

_DESCRIPTION = "edgekit"  # the entry of a .safetensors' metadata
_DESCRIBED = ("model", "preprocessing")  # of a training's origin
_VECTORS = ("values", "velocity", "average")


@dataclass(frozen=True)
class Folder:
    """Where the checkpoints of one training stand.

    Attributes:
        path: the folder; it need not exist.
        origin: what the training depends on, plain values.
    """

    path: Path
    origin: Mapping[str, Any]

    @staticmethod
    def of(origin: Mapping[str, Any]) -> Folder:
        """The folder in the cache for a training of this origin.

        Raises:
            UsageError: there is no place for a cache.
        """
        text = json.dumps({"revision": REVISION, **origin}, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        try:
            return Folder(cache_dir() / "checkpoints" / key, origin)
        except RuntimeError as error:
            raise UsageError(
                "There is no home folder to keep trained weights in.",
                hint="Set EDGEKIT_CACHE to a folder that can be written.",
            ) from error

    @property
    def position(self) -> Path:
        """Where an unfinished training stands."""
        return self.path / "position.safetensors"

    @property
    def interrupted(self) -> Path:
        """The weights an interrupted training had reached."""
        return self.path / "interrupted.safetensors"

    @property
    def record(self) -> Path:
        """What a finished training did, and which weights it left."""
        return self.path / "training.json"


def save(folder: Folder, trained: Trained) -> Path:
    """Keep a finished training; its position is no longer needed.

    Returns:
        the file of the weights.

    Raises:
        OutputError: the disk is full or the cache cannot be written.
    """
    weights = _weights(folder, trained)
    digest = hashlib.sha256(weights).hexdigest()
    record = {
        **folder.origin,
        "history": [asdict(epoch) for epoch in trained.history],
        "validation_top1": trained.validation_top1,
        "weights_sha256": digest,
    }
    path = folder.path / f"weights-{digest}.safetensors"
    _write(path, weights)
    _write(folder.record, (json.dumps(record, indent=2) + "\n").encode())
    folder.position.unlink(missing_ok=True)
    folder.interrupted.unlink(missing_ok=True)
    return path


def load(folder: Folder) -> Trained | None:
    """The finished training of a folder, or None if there is none.

    Raises:
        InputError: there is one, but damaged.
    """
    if not folder.record.exists():
        return None
    try:
        record = json.loads(folder.record.read_bytes())
        digest = record["weights_sha256"]
        weights = (folder.path / f"weights-{digest}.safetensors").read_bytes()
        if hashlib.sha256(weights).hexdigest() != digest:
            raise ValueError("its weights are not those that were saved")
        history = tuple(EpochRecord(**epoch) for epoch in record["history"])
        state = safetensors.torch.load(weights)
        return Trained(state, history, record["validation_top1"], from_cache=True)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise _damaged(folder.path, error) from error


def save_interrupted(folder: Folder, trained: Trained) -> Path:
    """Keep the weights of a broken-off training, for use as they are."""
    _write(folder.interrupted, _weights(folder, trained))
    return folder.interrupted


def digest(module: nn.Module) -> str:
    """SHA-256 of a module's weights with their names and shapes."""
    return hashlib.sha256(safetensors.torch.save(module.state_dict())).hexdigest()


def with_description(state: Mapping[str, Tensor], description: Mapping[str, Any]) -> bytes:
    """A .safetensors file of weights that says what they are; `described` reads it back.

    Args:
        state: contiguous tensors on the CPU.
        description: plain values; "model" and "preprocessing" are what `--weights` looks at.
    """
    # In one entry: safetensors writes several in an order that changes from run to run.
    text = json.dumps(description, sort_keys=True)
    content: bytes = safetensors.torch.save(dict(state), {_DESCRIPTION: text})
    return content


def described(path: Path) -> Mapping[str, Any]:
    """What the weights in a file say of themselves, plain values.

    Returns:
        nothing where the file does not say: not trained here, or unreadable (`load_weights` says
        so).

    Raises:
        InputError: what it says is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    try:
        with safetensors.safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_DESCRIPTION, "{}")
    except (OSError, safetensors.SafetensorError):
        return {}
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _misdescribed(path, str(error)) from error
    if not isinstance(description, dict):
        raise _misdescribed(path, "it is no table")
    return description


def padding_in(path: Path) -> PaddingMode | None:
    """The padding of the network whose weights are in a file; None where it does not say.

    Raises:
        InputError: what it says is damaged.
    """
    model = described(path).get("model")
    if model is None:
        return None
    try:
        padding: PaddingMode = model["padding"]
    except (KeyError, TypeError) as error:
        raise _misdescribed(path, "its model has no padding") from error
    return padding


def preprocessing_in(path: Path) -> Preprocessing | None:
    """What the network was trained with whose weights are in a file; None where it does not say.

    Raises:
        InputError: what it says is damaged.
    """
    said = described(path).get("preprocessing")
    try:
        return None if said is None else Preprocessing.from_json(said)
    except (InputError, LookupError, TypeError, ValueError) as error:
        raise _misdescribed(path, f"its preprocessing: {error}") from error


def save_position(folder: Folder, position: Position) -> None:
    """Keep where a training stands.

    Raises:
        OutputError: the disk is full or the cache cannot be written.
    """
    weights = position.weights
    vectors: dict[str, Tensor] = {name: getattr(weights, name) for name in _VECTORS}
    stand = {
        "epoch": position.epoch,
        "averaged": weights.averaged,
        "losses": position.losses,
        "seconds": position.seconds,
        "history": [asdict(epoch) for epoch in position.history],
    }
    data = safetensors.torch.save(vectors, {"position": json.dumps(stand)})
    _write(folder.position, data)


def load_position(folder: Folder) -> Position | None:
    """Where the training of a folder stopped, or None if none is unfinished.

    Raises:
        InputError: the file is damaged.
    """
    if not folder.position.exists():
        return None
    try:
        with safetensors.safe_open(folder.position, "pt") as file:
            stand = json.loads(file.metadata()["position"])
            vectors = {name: file.get_tensor(name).clone() for name in _VECTORS}
        return Position(
            weights=Weights(**vectors, averaged=stand["averaged"]),
            epoch=stand["epoch"],
            losses=stand["losses"],
            seconds=stand["seconds"],
            history=[EpochRecord(**epoch) for epoch in stand["history"]],
        )
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise _damaged(folder.position, error) from error


def _weights(folder: Folder, trained: Trained) -> bytes:
    """The weights as a file that says what they are, where that is known."""
    known = {key: folder.origin[key] for key in _DESCRIBED if key in folder.origin}
    return with_description(trained.state, known)


def _misdescribed(path: Path, why: str) -> InputError:
    return InputError(
        f"What the checkpoint '{path}' says of itself is damaged ({why}).",
        hint="Take the file as edgekit wrote it.",
    )


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"The checkpoint {path} is damaged ({error}).", hint="Train again with --retrain."
    )


def _write(path: Path, data: bytes) -> None:
    write(path, data, hint="Set EDGEKIT_CACHE to a folder with room that can be written.")


def write(path: Path, data: bytes, *, hint: str) -> None:
    """Write a file in one step, creating its folder.

    Raises:
        OutputError: the disk is full or the place cannot be written.
    """
    try:
        with held_back():
            _replace(path, data)
    except OSError as error:
        raise OutputError(
            f"The checkpoint {path} cannot be written: {error.strerror}.", hint=hint
        ) from error


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            file.close()
            Path(file.name).chmod(0o644)  # not the temporary file's: others may read
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
