"""The values of a training: where it stands, what each epoch did, and the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from edgekit.training.optimizer import Weights


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did.

    Attributes:
        epoch: from 1.
        height, width: of the images, in pixels.
        learning_rate: at its last step.
        train_loss: mean over its steps, with label smoothing and augmentation.
        validation_loss, validation_top1: of the averaged weights at this epoch's resolution; the
            latter in percent.
        images: seen in this epoch.
        seconds: spent in this epoch, validation included.
    """

    epoch: int
    height: int
    width: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    validation_top1: float
    images: int
    seconds: float


@dataclass
class Position:
    """Where a training stands: all that going on needs. The loop moves it.

    Attributes:
        weights: see `Weights`.
        epoch: under way, from 1; one past the last at the end.
        losses: of the steps done in this epoch.
        seconds: spent on them.
        history: of the finished epochs.
    """

    weights: Weights
    epoch: int = 1
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    history: list[EpochRecord] = field(default_factory=list)


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Attributes:
        state: state dict of contiguous CPU tensors, float32 (BatchNorm's counters are int64).
        history: one record a finished epoch.
        validation_top1: of `state`, in percent, at the network's own resolution.
        interrupted: broken off by a signal; `state` is the average of the weights so far.
        stopped_by: the number of a signal that came, perhaps too late to break anything off.
        from_cache: trained earlier, and found again.
    """

    state: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    validation_top1: float
    interrupted: bool = False
    stopped_by: int | None = None
    from_cache: bool = False

    @property
    def seconds(self) -> float:
        """Wall-clock time of the finished epochs, in earlier sittings too."""
        return sum(record.seconds for record in self.history)

    @property
    def images(self) -> int:
        """Images seen in the finished epochs."""
        return sum(record.images for record in self.history)
