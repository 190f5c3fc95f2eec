"""How a network is trained: one frozen, JSON-able value (no torch).

The defaults train MobileNetV1 0.25 at 128 pixels on some ten thousand images within minutes on two
cores; docs/training.md tells where each number comes from. A recipe is part of the key of the cache
of checkpoints: equal recipes on equal data give equal weights.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from edgekit.errors import UsageError, unknown_name

# Part of the cache key. Raise it when the same recipe no longer gives the same weights.
REVISION = 1
_SEEDS = 2**63  # torch's generator takes no more
_MOST_EPOCHS = 100_000

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


@dataclass(frozen=True)
class Stage:
    """A part of the training at one resolution.

    Attributes:
        scale: side of the training image over the side of the network's input, in (0, 1].
        share: this stage's part of the training's work (multiply-accumulates), not of its epochs.
        strength: multiplies the recipe's `shift` and `erase`. Weaker for small images is called
            progressive learning (Tan and Le 2021, https://arxiv.org/abs/2104.00298, section 4).
    """

    scale: float
    share: float
    strength: float = 1.0

    def to_json(self) -> dict[str, float]:
        """Plain values; a strength of 1 is left out."""
        plain = {"scale": self.scale, "share": self.share}
        return plain if self.strength == 1 else {**plain, "strength": self.strength}


@dataclass(frozen=True)
class Distillation:
    """What a student learns from a teacher, and from which (Hinton et al. 2015).

    The loss is (1 - weight) CE + weight T^2 KL(teacher_T || student_T), where both softmaxes are
    taken at temperature T (https://arxiv.org/abs/1503.02531, sections 2 and 2.1).

    Attributes:
        temperature: T, at least 1.
        weight: of the teacher's part of the loss, in (0, 1].
        teacher: its architecture, its preprocessing and the SHA-256 of its weights, plain values.
    """

    temperature: float
    weight: float
    teacher: dict[str, Any]

    def __post_init__(self) -> None:
        if not 1 <= self.temperature < math.inf:
            raise UsageError(f"A distillation's temperature is at least 1, not {self.temperature}.")
        if not 0 < self.weight <= 1:
            raise UsageError(f"A distillation's weight lies in (0, 1], unlike {self.weight}.")


@dataclass(frozen=True)
class Recipe:
    """Every choice of a training.

    Attributes:
        epochs: times the training split is seen; None follows from `work` and `max_epochs`.
        work: with epochs=None, how many images at full resolution the training costs; see
            `schedule.plan`.
        max_epochs: with epochs=None, the most a small data set is repeated.
        stages: resolutions, from small to the network's own; the last has scale 1.
        batch: images an update.
        shards: parts of a batch that are normalized apart (ghost batch normalization, Hoffer et al.
            2017, https://arxiv.org/abs/1705.08741) and computed side by side.
        learning_rate: the highest, reached after the warm-up, for a full `batch`.
        warmup: share of the work during which the learning rate rises linearly from 0.
        momentum: Nesterov's.
        weight_decay: of convolutions and matrices; biases and BatchNorm are left alone.
        label_smoothing: probability spread over all classes (Szegedy et al. 2016).
        average_decay: of the exponential moving average of the weights, which is what leaves.
        flip: mirror half of the images left to right.
        shift: furthest random shift, as a part of the image's side; edges are repeated.
        erase: side of the square that is greyed out in half of the images, as a part of the
            image's side (random erasing, Zhong et al. 2017); 0 erases nothing.
        freeze_backbone: train the classifier alone; the other weights and BatchNorm's statistics
            stay as they are.
        seed: of the initial weights, the order of the images and the augmentation.
        precision: "bf16-mixed" and "16-mixed" compute convolutions and matrix products in 16 bits;
            weights, gradients and updates stay float32 (Micikevicius et al. 2018,
            https://arxiv.org/abs/1710.03740).
        frozen_norms: BatchNorm keeps the statistics, scales and offsets it starts with.
        distillation: learn from a teacher too; None from the classes alone.
    """

    epochs: int | None = None
    work: int = 110_000
    max_epochs: int = 100
    stages: tuple[Stage, ...] = (
        Stage(0.25, 0.03),
        Stage(0.5, 0.15),
        Stage(0.75, 0.25),
        Stage(1.0, 0.57),
    )
    batch: int = 128
    shards: int = 2
    learning_rate: float = 0.3
    warmup: float = 0.08
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    average_decay: float = 0.99
    flip: bool = True
    shift: float = 1 / 28
    erase: float = 0.0
    freeze_backbone: bool = False
    seed: int = 0
    precision: Precision = "32-true"
    frozen_norms: bool = False
    distillation: Distillation | None = None

    def __post_init__(self) -> None:
        counts = {"work": self.work, "max_epochs": self.max_epochs, "shards": self.shards}
        if self.epochs is not None:
            counts["epochs"] = self.epochs
        for name, count in counts.items():
            if count < 1:
                raise UsageError(f"A recipe's {name} is at least 1, not {count}.")
        if self.epochs is not None and self.epochs > _MOST_EPOCHS:
            raise UsageError(f"A recipe has at most {_MOST_EPOCHS:,} epochs, not {self.epochs:,}.")
        if self.batch < self.shards:
            raise UsageError(f"A batch of {self.batch} cannot be cut into {self.shards} shards.")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise UsageError("A recipe's learning rate is positive, its weight decay not negative.")
        for name in ("warmup", "momentum", "label_smoothing", "average_decay", "shift", "erase"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"A recipe's {name} lies in [0, 1), not {getattr(self, name)}.")
        if not 0 <= self.seed < _SEEDS:
            raise UsageError(f"A recipe's seed lies in [0, 2^63), unlike {self.seed}.")
        if self.precision not in get_args(Precision):
            raise unknown_name("precision", self.precision, get_args(Precision))
        self._check_stages()

    def _check_stages(self) -> None:
        scales = [stage.scale for stage in self.stages]
        if not scales or scales[-1] != 1 or sorted(scales) != scales or scales[0] <= 0:
            raise UsageError(f"A recipe's stages rise to scale 1, unlike {scales}.")
        if min(stage.share for stage in self.stages) <= 0:
            raise UsageError("Each stage of a recipe has a positive share of the work.")
        furthest = max(self.shift, self.erase)
        for strength in (stage.strength for stage in self.stages):
            if not (strength >= 0 and strength * furthest < 1):
                raise UsageError(
                    "The strength of a recipe's stage is at least 0, and times shift or erase "
                    f"below 1, unlike {strength}."
                )

    def fine_tuning(self) -> Recipe:
        """For a network that was trained like this before: shorter, gentler, and at full size.

        A third of the work or the epochs, a sixth of the learning rate (docs/pruning.md).
        """
        return replace(
            self,
            epochs=self.epochs and -(-self.epochs // 3),
            work=-(-self.work // 3),
            max_epochs=-(-self.max_epochs // 3),
            stages=(Stage(1.0, 1.0),),
            learning_rate=self.learning_rate / 6,
        )

    def transfer(self, freeze_backbone: bool) -> Recipe:
        """For a network with the weights of another task: as gentle, for all the epochs asked for.

        Args:
            freeze_backbone: train the classifier alone.
        """
        return replace(self.fine_tuning(), epochs=self.epochs, freeze_backbone=freeze_backbone)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the checkpoint and the cache key; `from_json` reads them back."""
        return {**asdict(self), "stages": [stage.to_json() for stage in self.stages]}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Recipe:
        """The recipe a checkpoint holds."""
        stages = tuple(Stage(**stage) for stage in value["stages"])
        taught = value.get("distillation")
        return Recipe(
            **{**value, "stages": stages, "distillation": taught and Distillation(**taught)}
        )
