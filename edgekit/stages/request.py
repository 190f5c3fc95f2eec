"""What the user asks of a build, checked for contradictions before anything is opened."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import UsageError
from edgekit.models.layers import PaddingMode
from edgekit.plan import boards
from edgekit.plan.boards import Board
from edgekit.preprocessing import Color, Resize

_TRAINING = ("weights", "epochs", "retrain", "resume", "prune")
_PICTURES = ("mean", "std", "color", "resize")


@dataclass(frozen=True)
class Request:
    """What the user asked for; see `edgekit build --help` for each field.

    Either `arch` or `model` is given; `target` names a backend. None means the usual choice, which
    for `mean`, `std`, `color` and `resize` is the data set's or the architecture's.
    """

    target: str
    arch: str | None = None
    model: Path | None = None
    board: str | None = None
    alpha: float = 1.0
    rho: float = 1.0
    resolution: int | None = None
    data: str | None = None
    samples: Path | None = None
    labels: Path | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    color: Color | None = None
    resize: Resize | None = None
    weights: Path | None = None
    padding: PaddingMode = "same"
    prune: float | None = None
    epochs: int | None = None
    threads: int | None = None
    seed: int = 0
    calibration_images: int = 200
    logits: bool = False
    embedding: bool = False
    max_drop: float | None = None
    retrain: bool = False
    resume: bool = False
    output: Path | None = None

    def __post_init__(self) -> None:
        if (self.arch is None) == (self.model is None):
            raise UsageError(
                "Name an architecture or give --model FILE, one of the two.",
                hint="edgekit models lists the architectures.",
            )
        if self.model is not None:
            self._refuse(_TRAINING, "needs an architecture, not a ready --model")
        if self.data is not None and self.samples is not None:
            raise UsageError("--data (pictures) and --samples (arrays) contradict each other.")
        if self.samples is not None:
            self._refuse(_PICTURES, "is for pictures, not for the arrays of --samples")
        if self.max_drop is not None and self.embedding:
            raise UsageError("--max-drop needs classes; --embedding leaves them out.")

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        for name in names:
            if getattr(self, name) not in (None, False):
                raise UsageError(f"--{name.replace('_', '-')} {why}.")


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
