"""What is asked of a pruning: how far, by which criterion, in which multiples (no torch).

Refused: unknown names, targets that are no number, multiples below 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from edgekit.errors import UsageError, unknown_name

MAX_RATIO = 0.9
MULTIPLE = 8
_UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}

Criterion = Literal["magnitude", "bn-scale", "taylor", "fpgm"]
Scope = Literal["uniform", "global"]
Cost = Literal["macs", "params", "ram", "flash", "instructions"]


@dataclass(frozen=True)
class Rule:
    """Which channels leave.

    Attributes:
        criterion: how much a channel matters, see `importance`.
        scope: "uniform" takes the same share of every layer; "global" ranks the channels of all
            layers together, each against its layer's mean.
        multiple: of the widths, at least 1; 8 suits every target.
    """

    criterion: Criterion = "magnitude"
    scope: Scope = "uniform"
    multiple: int = MULTIPLE

    def __post_init__(self) -> None:
        if self.criterion not in get_args(Criterion):
            raise unknown_name("pruning criterion", self.criterion, get_args(Criterion))
        if self.scope not in get_args(Scope):
            raise unknown_name("pruning scope", self.scope, get_args(Scope))
        if self.multiple < 1:
            raise UsageError(f"Widths cannot be multiples of {self.multiple}.")


@dataclass(frozen=True)
class Target:
    """What a network may cost.

    Attributes:
        cost: what is measured.
        share: of the whole network's cost, in (0, 1); None if `most` is given.
        most: the cost itself.
    """

    cost: Cost
    share: float | None = None
    most: int | None = None

    @staticmethod
    def parse(text: str) -> Target:
        """ "macs=0.5" or "ram=40k".

        Raises:
            UsageError: not of that form.
        """
        name, _, value = text.partition("=")
        if name not in get_args(Cost):
            raise unknown_name("pruning target", name, get_args(Cost))
        unit = _UNITS.get(value[-1:], 1)
        try:
            number = float(value[:-1] if unit > 1 else value) * unit
        except ValueError:
            number = 0.0
        if 0 < number < 1:
            return Target(cast(Cost, name), share=number)
        if 1 <= number < float("inf"):
            return Target(cast(Cost, name), most=int(number))
        raise UsageError(
            f"A pruning target is NAME=VALUE with a value above 0, not '{text}'.",
            hint="macs=0.5 keeps half of them, macs=2M two million, ram=40k 40,000 bytes.",
        )

    def of(self, whole: int) -> int:
        """The most that a network may cost whose whole costs so much."""
        return self.most if self.most is not None else int((self.share or 0) * whole)

    def part(self, whole: int, step: int, steps: int) -> int:
        """The same after one of several steps, which all shrink by the same factor."""
        most = self.of(whole)
        return most if step == steps else int(whole * (most / whole) ** (step / steps))

    def __str__(self) -> str:
        return f"{self.cost}{self.share if self.share is not None else self.most:g}"
