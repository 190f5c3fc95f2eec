"""Training by name: what was trained before comes from the cache, the rest is trained and kept.

Enter a model's spec, a data set, the preprocessing, a recipe, and for a fine-tuning the module it
starts from; leaves trained weights. A training broken off with Ctrl-C or SIGTERM ends in
`TrainingStoppedError`, and goes on where it stood if it is resumed; so does one that was killed,
from its last epoch on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from signal import SIGINT
from typing import Any

import torch
from torch import nn

from edgekit.data import Dataset
from edgekit.errors import EdgekitError, InputError, UsageError
from edgekit.interruption import Stopped, exit_code
from edgekit.models.module import build
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.training import checkpoint
from edgekit.training.checkpoint import Folder
from edgekit.training.loop import fit
from edgekit.training.recipe import Recipe
from edgekit.training.records import Position, Trained
from edgekit.training.teacher import Teacher
from edgekit.training.world import ALONE, World

Notice = Callable[[str], None]


class TrainingStoppedError(EdgekitError):
    """Ctrl-C or SIGTERM stopped the training; what it reached is kept.

    Args:
        number: of the signal; it gives the exit code.
    """

    def __init__(self, message: str, *, number: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code(Stopped(number or SIGINT))


def train(
    spec: ModelSpec,
    dataset: Dataset,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    module: nn.Module | None = None,
    threads: int | None = None,
    retrain: bool = False,
    resume: bool = False,
    teacher: Teacher | None = None,
    world: World = ALONE,
    progress: Progress = silent,
    notice: Notice = lambda sentence: None,
) -> Trained:
    """Trained weights of a model, from the cache if this training was done before.

    Args:
        spec: the model.
        dataset: its classes are the model's.
        preprocessing: at the model's resolution.
        recipe: how to train.
        module: what to train further; it may be narrower than the spec says. By default the model
            with fresh weights, drawn with `recipe.seed`.
        threads: that compute; by default the faster of one and all cores.
        retrain: train even if the cache has the outcome.
        resume: go on where an earlier training of the same kind stopped.
        teacher: the one the recipe names, if it names one.
        world: the processes that train together; the first one keeps the cache.
        progress: told the images seen, once for each resolution.
        notice: told sentences for the user.

    Raises:
        TrainingStoppedError: by Ctrl-C or SIGTERM; its hint says how to go on.
        UsageError: there is nothing to resume, or the arguments contradict each other.
        InputError: a split is too small, or the position to resume from is damaged.
        OutputError: the cache cannot be written.
        EdgekitError: the loss is no longer finite.
    """
    if len(dataset.labels) != spec.classes:
        raise UsageError(
            f"The model has {spec.classes} classes, the data set {dataset.name} "
            f"{len(dataset.labels)}."
        )
    if retrain and resume:
        raise UsageError("Training either goes on (resume) or starts anew (retrain).")
    folder = Folder.of(origin(spec, dataset, preprocessing, recipe, module))
    if not retrain:
        found = world.first(lambda: cached(folder, notice))
        if found:
            return found
    trained = fit(
        fresh(spec, recipe) if module is None else module,
        dataset,
        preprocessing,
        recipe,
        start=world.first(lambda: _start(folder, resume)),
        save=partial(checkpoint.save_position, folder) if world.rank == 0 else None,
        threads=threads,
        teacher=teacher,
        world=world,
        progress=progress,
    )
    world.first(lambda: _keep(folder, trained, fresh_start=module is None))
    return trained


def _keep(folder: Folder, trained: Trained, *, fresh_start: bool) -> None:
    """Save what a training reached.

    Args:
        fresh_start: it began with fresh weights, so that its weights fit the whole model.

    Raises:
        TrainingStoppedError: a signal came.
    """
    if trained.interrupted:
        path = checkpoint.save_interrupted(folder, trained)
        use = f"; --weights {path} uses what there is" if fresh_start else ""
        raise TrainingStoppedError(
            f"The training was stopped after {len(trained.history)} "
            f"epoch{'s' if len(trained.history) != 1 else ''}, "
            f"at {trained.validation_top1:.1f} % on the validation images.",
            number=trained.stopped_by,
            hint=f"The same command with --resume goes on{use}.",
        )
    checkpoint.save(folder, trained)
    if trained.stopped_by is not None:
        raise TrainingStoppedError(
            "Stopped when the training had just ended; its weights are kept.",
            number=trained.stopped_by,
            hint="The same command goes on from there.",
        )


def origin(
    spec: ModelSpec,
    dataset: Dataset,
    preprocessing: Preprocessing,
    recipe: Recipe,
    module: nn.Module | None = None,
) -> Mapping[str, Any]:
    """All that the outcome of a training depends on, as plain values."""
    start = {}
    if module is not None:
        start = {"start_sha256": checkpoint.digest(module)}
    return {
        "model": spec.to_json(),
        "layers_sha256": hashlib.sha256(repr(spec.layers).encode()).hexdigest(),
        "data": dict(dataset.provenance),
        "preprocessing": preprocessing.to_json(),
        "recipe": recipe.to_json(),
        **start,
    }


def fresh(spec: ModelSpec, recipe: Recipe) -> nn.Module:
    """The model as the recipe's seed draws it; torch's own generator stays where it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return build(spec)


def cached(folder: Folder, notice: Notice = lambda sentence: None) -> Trained | None:
    """The finished training of a folder; a damaged one counts as none, with a notice."""
    try:
        return checkpoint.load(folder)
    except InputError as error:
        notice(f"{error} It is trained again.")
        return None


def _start(folder: Folder, resume: bool) -> Position | None:
    if not resume:
        return None
    position = checkpoint.load_position(folder)
    if position is None:
        raise UsageError(
            "There is no interrupted training of this model, data and recipe to resume.",
            hint="Give the same options as before, or leave --resume out.",
        )
    return position
