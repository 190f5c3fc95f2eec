"""An architecture's weights: trained, found in the cache or loaded, pruned; then its ONNX model.

The only stage that needs torch, imported when it runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit import extras
from edgekit.data import Dataset
from edgekit.models.download import digest_of
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.lesson import Lesson
from edgekit.stages.pretrained import TFLITE, load, located, pruned_in
from edgekit.stages.pruning import Pruner
from edgekit.stages.request import Training

if TYPE_CHECKING:
    from torch import nn

    from edgekit.training.recipe import Recipe
    from edgekit.training.records import Trained
    from edgekit.training.world import World

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


def weights(
    request: Training,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    taught: Lesson,
    progress: Progress,
    notice: Notice,
    world: World | None = None,
) -> Weighted:
    """Load the network and train it further if it needs that, or train it; then prune it, if asked.

    Args:
        request: the options.
        spec: the network.
        dataset: its classes are the network's.
        contract: at the network's resolution.
        taught: how to train.
        progress, notice: for the user.
        world: the processes that train together; by default this one alone.

    Raises:
        MissingToolError: torch is not installed.
        EdgekitError: see `training.train.train`, `pretrained.located` and `load`, `pruning.Pruner`.
    """
    extras.require("train")
    from edgekit.training.train import fresh, train
    from edgekit.training.world import ALONE

    training = partial(
        train,
        spec,
        dataset,
        contract,
        threads=request.threads,
        retrain=request.retrain,
        teacher=taught.teacher,
        world=world or ALONE,
        notice=notice,
    )
    recipe = taught.recipe
    module, resume = fresh(spec, recipe), request.resume
    pruner = Pruner(request, spec, dataset, contract)
    pruned = None
    if request.weights:
        origin, transfer, pruned = _load(request, spec, dataset, contract, module, progress, notice)
        further = recipe.transfer(request.freeze_backbone) if transfer else None
    else:
        origin, further = {}, recipe  # trained from the beginning
    if request.is_pruned:
        pruner.foresee(module)
    if further is not None:
        start = module if request.weights else None
        trained = training(further, module=start, resume=resume, progress=progress)
        module.load_state_dict(trained.state)
        done = _trained(further, trained)
        origin = {**origin, "transfer": done} if request.weights else done
        resume = resume and trained.from_cache  # what was stopped was the training after pruning
    if not request.is_pruned:
        return Weighted(module, origin, pruned)
    narrow, cut, steps = pruner.prune(module, recipe.fine_tuning(), training, resume, progress)
    *earlier, last = [_trained(own, trained) for own, trained in steps]
    origin = {**origin, "fine_tuning": {**last, "after": earlier} if earlier else last}
    asked = {"to": request.prune_to, "steps": len(steps), "distilled": request.prune_distill}
    return Weighted(narrow, origin, {**cut.to_json(), **asked})


def _load(
    request: Training,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    module: nn.Module,
    progress: Progress,
    notice: Notice,
) -> tuple[dict[str, Any], bool, dict[str, Any] | None]:
    """Load the weights that were asked for, in place.

    Returns:
        their origin, whether they are trained further instead of used as they are, and what the
        file says was pruned.
    """
    from edgekit.training.batch_statistics import restore_statistics
    from edgekit.training.images import Images

    assert request.weights is not None
    path = located(request.weights, spec, progress)
    pruned = pruned_in(path)
    loaded = load(module, path, spec, is_narrow=pruned is not None)
    notice(loaded.note)
    if request.padding is None and spec.padding == "torch":
        notice(
            "Strided layers are padded on all sides, as the checkpoints of "
            f"{spec.arch} expect (--padding torch)."
        )
    origin = {"source": "weights", "file": path.name, "sha256": digest_of(path)}
    if not (loaded.new_classifier or request.fine_tune or request.freeze_backbone):
        if request.epochs is not None and not request.is_pruned:
            notice("The weights are used as they are: --epochs is for --fine-tune.")
        return origin, False, pruned
    if path.suffix == TFLITE and not request.freeze_backbone:
        restore_statistics(module, Images(dataset.splits["train"], contract), request.seed)
    return origin, True, pruned


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
