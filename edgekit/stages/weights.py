"""An architecture's weights: trained, found in the cache or loaded; then its ONNX model.

The only stage that needs torch, imported when it runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.data import Dataset
from edgekit.errors import MissingToolError
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.request import Request

if TYPE_CHECKING:
    from torch import nn

Notice = Callable[[str], None]
_CHECKED_IMAGES = 16  # validation pictures on which the ONNX model must equal the trained one


def weights(
    request: Request,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    progress: Progress,
    notice: Notice,
) -> tuple[nn.Module, dict[str, Any]]:
    """The module with its weights, and where they came from as plain values.

    Raises:
        MissingToolError: torch is not installed.
        EdgekitError: see `training.train.train` and `models.module.load_weights`.
    """
    try:
        from edgekit.models.module import build, load_weights
        from edgekit.training.recipe import Recipe
        from edgekit.training.train import train
    except ImportError as error:
        raise MissingToolError(
            f"An architecture needs the training extra ({error.name} is not installed).",
            hint="pip install 'edgekit[train]'; a ready model (--model FILE) works without it.",
        ) from error
    module = build(spec)
    if request.weights:
        notice(load_weights(module, request.weights))
        digest = hashlib.sha256(request.weights.read_bytes()).hexdigest()
        return module, {"source": "weights", "file": request.weights.name, "sha256": digest}
    recipe = Recipe(epochs=request.epochs, seed=request.seed)
    trained = train(
        spec,
        dataset,
        contract,
        recipe,
        threads=request.threads,
        retrain=request.retrain,
        resume=request.resume,
        progress=progress,
        notice=notice,
    )
    module.load_state_dict(trained.state)
    return module, {
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
