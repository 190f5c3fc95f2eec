"""What the user asks for, checked for contradictions before anything is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgekit.compress.choose_ranges import Calibration
from edgekit.compress.pruning.rule import Criterion, Scope, Target
from edgekit.errors import UsageError
from edgekit.models.layers import PaddingMode
from edgekit.plan import boards
from edgekit.plan.boards import Board
from edgekit.preprocessing import Color, Resize
from edgekit.training.distribution import Distribution
from edgekit.training.recipe import Precision

Converter = Literal["edgekit", "tensorflow"]
_TEACHER = ("teacher_alpha", "temperature", "distill_weight")
_ARCHITECTURE = (
    "phi",
    "weights",
    "fine_tune",
    "freeze_backbone",
    "freeze_norms",
    "teacher",
    "teacher_weights",
    *_TEACHER,
    "epochs",
    "retrain",
    "resume",
    "prune",
    "prune_to",
)
IMAGENET = Path("imagenet")  # for `weights`: the published ones, see `models.published`
_PRUNING = ("prune_by", "prune_scope", "prune_steps", "prune_distill")
_PICTURES = ("mean", "std", "color", "resize")


@dataclass(frozen=True, kw_only=True)
class Training:
    """Which network to train, on what and how; see `edgekit train --help` for each field.

    None means the usual choice, which for `mean`, `std`, `color` and `resize` is the data set's or
    the architecture's, and for `padding` that of the weights. `weights` is a file, or `IMAGENET`.
    """

    arch: str | None = None
    alpha: float = 1.0
    rho: float = 1.0
    resolution: int | None = None
    phi: float | None = None
    data: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    color: Color | None = None
    resize: Resize | None = None
    weights: Path | None = None
    fine_tune: bool = False
    freeze_backbone: bool = False
    freeze_norms: bool = False
    padding: PaddingMode | None = None
    prune: float | None = None
    prune_to: str | None = None
    prune_by: Criterion = "magnitude"
    prune_scope: Scope = "uniform"
    prune_steps: int = 1
    prune_distill: bool = False
    teacher: str | None = None
    teacher_weights: Path | None = None
    teacher_alpha: float | None = None
    temperature: float | None = None
    distill_weight: float | None = None
    epochs: int | None = None
    precision: Precision = "32-true"
    threads: int | None = None
    seed: int = 0
    retrain: bool = False
    resume: bool = False
    output: Path | None = None

    def __post_init__(self) -> None:
        if self.weights is None:
            for option in ("fine_tune", "freeze_backbone", "freeze_norms"):
                self._refuse((option,), "goes on from weights: give them with --weights")
        if (self.teacher is None) != (self.teacher_weights is None):
            raise UsageError("--teacher ARCH and --teacher-weights FILE come together.")
        if self.teacher is None:
            self._refuse(_TEACHER, "needs a --teacher")
        if self.prune is not None and self.prune_to is not None:
            raise UsageError("--prune RATIO and --prune-to COST=VALUE contradict each other.")
        if self.prune is None and self.prune_to is None:
            self._refuse(_PRUNING, "needs --prune or --prune-to")
        if self.prune_to is not None:
            Target.parse(self.prune_to)
        if self.prune_distill and self.teacher is not None:
            raise UsageError(
                "--prune-distill makes the whole network the --teacher: give one of them."
            )

    @property
    def is_pruned(self) -> bool:
        """Whether channels are to be removed."""
        return self.prune is not None or self.prune_to is not None

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) != getattr(type(self), name, None):
                raise UsageError(f"--{name.replace('_', '-')} {why}.")


@dataclass(frozen=True, kw_only=True)
class TrainRequest(Training):
    """What `edgekit train` is asked for: a checkpoint of an architecture."""

    distribution: Distribution = field(default_factory=Distribution)


@dataclass(frozen=True, kw_only=True)
class Request(Training):
    """What `edgekit build` is asked for: a bundle; see its `--help` for each field.

    Either `arch` or `model` is given; `target` names a backend.
    """

    target: str
    model: Path | None = None
    board: str | None = None
    samples: Path | None = None
    labels: Path | None = None
    calibration_images: int | None = None
    calib_dir: Path | None = None
    calibration: Calibration = "minmax"
    converter: Converter = "edgekit"
    logits: bool = False
    embedding: bool = False
    max_drop: float | None = None
    repair: str | None = None
    fold: bool | None = None
    diagnose: bool = False
    ram_bytes: int | None = None

    def __post_init__(self) -> None:
        if (self.arch is None) == (self.model is None):
            raise UsageError(
                "Name an architecture or give --model FILE, one of the two.",
                hint="edgekit models lists the architectures.",
            )
        if self.model is not None:
            self._refuse(_ARCHITECTURE, "needs an architecture, not a ready --model")
        super().__post_init__()
        if self.data is not None and self.samples is not None:
            raise UsageError("--data (pictures) and --samples (arrays) contradict each other.")
        if self.samples is not None:
            self._refuse(_PICTURES, "is for pictures, not for the arrays of --samples")
        if self.calib_dir is not None and self.samples is not None:
            raise UsageError("--calib-dir is for pictures, not for the arrays of --samples.")
        if self.converter == "tensorflow":
            for option in ("repair", "diagnose"):
                self._refuse((option,), "works with edgekit's own converter")
            if self.calibration != "minmax":
                raise UsageError("--calibration is for edgekit's own converter.")
        if self.max_drop is not None and not math.isfinite(self.max_drop):
            raise UsageError(f"--max-drop takes a number of points, not {self.max_drop}.")
        if self.max_drop is not None and self.embedding:
            raise UsageError("--max-drop needs classes; --embedding leaves them out.")
        if self.ram_bytes is not None and self.target != "c":
            raise UsageError(
                f"--ram plans a generated C program, not a bundle for {self.target}.",
                hint="Build with --target c.",
            )


@dataclass(frozen=True)
class Built:
    """The outcome: where the bundle is, and its report as plain values."""

    path: Path
    report: dict[str, Any]


def board_for(request: Request) -> Board:
    """The board asked for, which must be one of the target's, or the target's usual one.

    Raises:
        UsageError: no such board, or it is another target's.
    """
    if request.board is None:
        return boards.default_for(request.target)
    board = boards.load(request.board)
    if request.target not in board.backends:
        fitting = ", ".join(board.id for board in boards.for_backend(request.target))
        taken = " and ".join(board.backends)
        raise UsageError(
            f"Board '{board.id}' takes {taken} bundles, not {request.target}.",
            hint=f"Boards for {request.target}: {fitting}.",
        )
    return board
