"""An architecture's weights: trained, found in the cache or loaded, pruned; then its ONNX model.

The only stage that needs torch, imported when it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import extras
from edgekit.data import Dataset
from edgekit.errors import InputError
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.request import Request

if TYPE_CHECKING:
    from torch import nn

    from edgekit.training.recipe import Recipe
    from edgekit.training.records import Trained

Notice = Callable[[str], None]
_CHECKED_IMAGES = 16  # validation pictures on which the ONNX model must equal the trained one


@dataclass(frozen=True)
class Weighted:
    """An architecture with weights.

    Attributes:
        module: in the shape it will be exported in.
        origin: where its weights came from, plain values.
        pruned: what pruning removed, plain values; None without it.
    """

    module: nn.Module
    origin: dict[str, Any]
    pruned: dict[str, Any] | None = None


def trained_with(request: Request, spec: ModelSpec) -> Preprocessing | None:
    """How pictures entered the network when the weights of `--weights` were trained here.

    Returns:
        None where the file does not say, or none is given.

    Raises:
        MissingToolError: torch is not installed.
        InputError: what the file says is damaged, or of a network with other channels.
    """
    if request.weights is None:
        return None
    extras.require("train")
    from edgekit.training.checkpoint import preprocessing_of

    found = preprocessing_of(request.weights)
    channels = spec.input_shape[1]
    if found is not None and found.channels != channels:
        raise InputError(
            f"'{request.weights}' was trained on pictures of {found.channels} channels, "
            f"{spec.arch} reads {channels}."
        )
    return found


def weights(
    request: Request,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    progress: Progress,
    notice: Notice,
) -> Weighted:
    """Load or train the network; then prune it and train it further, if that is asked for.

    Raises:
        MissingToolError: torch is not installed.
        EdgekitError: see `training.train.train`, `models.module.load_weights`, `compress.prune`.
    """
    extras.require("train")
    from edgekit.compress.prune import prune
    from edgekit.models.module import build, load_weights
    from edgekit.training.recipe import Recipe
    from edgekit.training.train import train

    training = partial(
        train,
        spec,
        dataset,
        contract,
        threads=request.threads,
        retrain=request.retrain,
        progress=progress,
        notice=notice,
    )
    recipe = Recipe(epochs=request.epochs, seed=request.seed)
    module, resume = build(spec), request.resume
    origin: dict[str, Any]
    if request.prune is not None:
        prune(module, request.prune, spec.input_shape)  # a ratio that cannot work fails now
    if request.weights:
        notice(load_weights(module, request.weights))
        digest = hashlib.sha256(request.weights.read_bytes()).hexdigest()
        origin = {"source": "weights", "file": request.weights.name, "sha256": digest}
    else:
        trained = training(recipe, resume=resume)
        module.load_state_dict(trained.state)
        origin = _trained(recipe, trained)
        resume = resume and trained.from_cache  # what was stopped was the training after pruning
    if request.prune is None:
        return Weighted(module, origin)
    pruned = prune(module, request.prune, spec.input_shape)
    further = recipe.fine_tuning()
    trained = training(
        further,
        module=pruned.module,
        resume=resume,
        progress=lambda what, done, total: progress(f"fine-tune: {what}", done, total),
    )
    pruned.module.load_state_dict(trained.state)
    origin = {**origin, "fine_tuning": _trained(further, trained)}
    return Weighted(pruned.module, origin, pruned.to_json())


def _trained(recipe: Recipe, trained: Trained) -> dict[str, Any]:
    return {
        "source": "trained",
        "recipe": recipe.to_json(),
        "epochs": len(trained.history),
        "images": trained.images,
    }


def export(
    module: nn.Module, spec: ModelSpec, name: str, dataset: Dataset, contract: Preprocessing
) -> bytes:
    """The ONNX model, compared with the module on real pictures."""
    from edgekit.convert import torch_onnx

    onnx_model = torch_onnx.export(module, spec.input_shape, name)
    split = dataset.splits["validation"]
    pixels = split.pixels(np.arange(min(_CHECKED_IMAGES, len(split))), contract)
    torch_onnx.check(onnx_model, module, contract.normalize(pixels).transpose(0, 3, 1, 2))
    return onnx_model
