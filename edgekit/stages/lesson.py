"""How an architecture will be trained: its recipe, and the teacher if there is one.

A request and its data enter; a `Lesson` leaves. Refused: a teacher that knows other classes than
the data set, and whatever does not load into its architecture.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.data import Dataset
from edgekit.errors import InputError
from edgekit.models import registry
from edgekit.models.download import digest_of
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.pretrained import load, located, padding_of, trained_with
from edgekit.stages.request import Training
from edgekit.training.recipe import Distillation, Recipe

if TYPE_CHECKING:
    from edgekit.training.teacher import Teacher

TEMPERATURE = 4.0
WEIGHT = 0.9


@dataclass(frozen=True, eq=False)
class Lesson:
    """A recipe, and the teacher it names; None without one."""

    recipe: Recipe
    teacher: Teacher | None = None


def lesson(
    request: Training,
    dataset: Dataset,
    contract: Preprocessing,
    progress: Progress,
    processes: int = 1,
) -> Lesson:
    """What is asked for, with as many shards as the processes can share evenly.

    Args:
        request: the options.
        dataset: its classes are the teacher's.
        contract: the student's; the teacher's where its weights do not say.
        progress: told about downloads.
        processes: that will train together.

    Raises:
        UsageError: an option is out of range.
        InputError: the teacher's weights do not fit its architecture, or the data set.
        MissingToolError: torch is not installed.
    """
    usual = Recipe()
    recipe = Recipe(
        epochs=request.epochs,
        shards=-(-usual.shards // processes) * processes,
        seed=request.seed,
        precision=request.precision,
        frozen_norms=request.freeze_norms,
    )
    if request.teacher is None or request.teacher_weights is None:
        return Lesson(recipe)
    spec, teacher, path = _teacher(request, dataset, contract, progress)
    distillation = Distillation(
        temperature=TEMPERATURE if request.temperature is None else request.temperature,
        weight=WEIGHT if request.distill_weight is None else request.distill_weight,
        teacher={
            "model": spec.to_json(),
            "preprocessing": teacher.preprocessing.to_json(),
            "sha256": digest_of(path),
        },
    )
    return Lesson(replace(recipe, distillation=distillation), teacher)


def _teacher(
    request: Training, dataset: Dataset, contract: Preprocessing, progress: Progress
) -> tuple[ModelSpec, Teacher, Path]:
    """The teacher with its weights, and the file they came from.

    A file that edgekit wrote says width, resolution, padding and preprocessing; others are taken
    as published: at the architecture's own resolution, with its mean.
    """
    from edgekit.models.module import build
    from edgekit.training.checkpoint import described
    from edgekit.training.teacher import Teacher

    assert request.teacher is not None and request.teacher_weights is not None
    padding = padding_of(request.teacher_weights, registry.get(request.teacher))
    said = described(request.teacher_weights)
    model = said.get("model", {})
    spec = registry.resolve(
        request.teacher,
        request.teacher_alpha or model.get("alpha", 1.0),
        resolution=model.get("resolution"),
        phi=model.get("phi"),
        classes=len(dataset.labels),
        padding=padding,
    )
    _check_labels(request.teacher_weights, said.get("labels"), dataset)
    path = located(request.teacher_weights, spec, progress)
    module = build(spec)
    loaded = load(module, path, spec)
    if loaded.new_classifier:
        raise InputError(
            f"The teacher does not know the {len(dataset.labels)} classes of {dataset.name}: "
            f"{loaded.note}",
            hint="Train the teacher on the same data first: edgekit train.",
        )
    published = replace(contract, mean=spec.mean, std=spec.std)
    own = trained_with(path, spec) or published.at(spec.resolution, spec.resolution)
    return spec, Teacher(module, own), path


def _check_labels(path: Path, labels: list[str] | None, dataset: Dataset) -> None:
    """The teacher's classes, where its file names them, are the data set's in the same order."""
    if labels is None or tuple(labels) == dataset.labels:
        return
    raise InputError(
        f"The classes of the teacher {path} ({', '.join(labels[:3])}, ...) are not those of "
        f"{dataset.name} ({', '.join(dataset.labels[:3])}, ...).",
        hint="Train the teacher on the same data first: edgekit train.",
    )
