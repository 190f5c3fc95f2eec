"""What a training makes small: the loss of one shard's logits."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from edgekit.training.recipe import Distillation, Recipe


class Batch(NamedTuple):
    """The images of one shard.

    Attributes:
        images: float32 (n, channels, height, width).
        targets: classes, int64 (n,).
        taught: a teacher's logits for the same images, float32 (n, classes); None without one.
    """

    images: Tensor
    targets: Tensor
    taught: Tensor | None = None


def loss(logits: Tensor, batch: Batch, recipe: Recipe) -> Tensor:
    """Mean loss of a shard, a scalar.

    Args:
        logits: of the network that is trained, (n, classes).
        batch: what they are of.
        recipe: for the label smoothing and the distillation.
    """
    logits = logits.float()
    hard = functional.cross_entropy(logits, batch.targets, label_smoothing=recipe.label_smoothing)
    if batch.taught is None or recipe.distillation is None:
        return hard
    weight = recipe.distillation.weight
    return (1 - weight) * hard + weight * _soft(logits, batch.taught, recipe.distillation)


def _soft(logits: Tensor, taught: Tensor, distillation: Distillation) -> Tensor:
    """T^2 KL(teacher_T || student_T): T^2 keeps the gradients as large as those of the classes."""
    temperature = distillation.temperature
    divergence = functional.kl_div(
        functional.log_softmax(logits / temperature, 1),
        functional.log_softmax(taught / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )
    return temperature**2 * divergence
