"""Options that several commands share: which network, on which data, trained how.

A group is a tuple of click options; `@options(GROUP, ...)` gives them to a command, in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def options(*groups: tuple[Option, ...]) -> Callable[[Command], Command]:
    """A decorator that adds all options of the groups."""

    def add(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            option(command)
        return command

    return add


def numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """ "1,2.5" -> (1.0, 2.5)."""
    try:
        return None if value is None else tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a list of numbers") from None


class OptionalBytes(click.IntRange):
    """A number that may be left out at the end of an option; so it takes what follows for one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Refuse what is no number, such as the argument behind an option without its number."""
        if isinstance(value, str) and not value.strip().lstrip("+-").isdigit():
            option = param.opts[0] if param else "the option"
            self.fail(
                f"'{value}' is no number of bytes. Write {option}=BYTES for a budget; without one, "
                f"put {option} behind '{value}', or write {option}=0 for the smallest there is.",
                param,
                ctx,
            )
        return int(super().convert(value, param, ctx))


NETWORK = (
    click.option("--alpha", type=float, default=1.0, show_default=True, help="Width multiplier."),
    click.option(
        "--rho", type=float, default=1.0, show_default=True, help="Resolution multiplier."
    ),
    click.option("--resolution", type=int, help="Input height and width in pixels, not --rho."),
    click.option(
        "--phi", type=float, help="Compound scaling of efficientnet_b0, see `edgekit scale`."
    ),
)

DATA = (
    click.option(
        "--data", help="Folder of class folders, or 'fashion_mnist'. Default: embedded set."
    ),
)

PICTURES = (
    click.option(
        "--mean",
        callback=numbers,
        metavar="N,..",
        help="Of the pictures' pixels (0..255), 1 or 3 numbers.",
    ),
    click.option("--std", callback=numbers, metavar="N,..", help="Their deviation, likewise."),
    click.option("--color", type=click.Choice(["RGB", "BGR", "L"]), help="Channel order."),
    click.option(
        "--resize",
        type=click.Choice(["stretch", "center_crop"]),
        help="How a picture gets the network's size.",
    ),
)

START = (
    click.option(
        "--freeze-backbone",
        is_flag=True,
        help="Train the classifier of the loaded --weights alone.",
    ),
    click.option(
        "--freeze-norms",
        is_flag=True,
        help="BatchNorm keeps the statistics, scales and offsets of the loaded --weights.",
    ),
    click.option(
        "--padding",
        type=click.Choice(["same", "torch"]),
        help="TFLite's, or the symmetric one of most PyTorch checkpoints. Default: that of the "
        "--weights; TFLite's without.",
    ),
)

PRUNING = (
    click.option(
        "--prune",
        type=float,
        metavar="RATIO",
        help="Remove this share of the channels, in multiples of 8 (target c: 4), then train a "
        "little further.",
    ),
    click.option(
        "--prune-to",
        metavar="COST=VALUE",
        help="Remove as few channels as it takes to reach a share of the whole (macs=0.5) or a "
        "number (ram=40k); of macs, params, and for microcontrollers ram, flash, instructions.",
    ),
    click.option(
        "--prune-by",
        type=click.Choice(["magnitude", "bn-scale", "taylor", "fpgm"]),
        default="magnitude",
        show_default=True,
        help="Which channels matter least.",
    ),
    click.option(
        "--prune-scope",
        type=click.Choice(["uniform", "global"]),
        default="uniform",
        show_default=True,
        help="The same share of every layer, or the least important of all layers.",
    ),
    click.option(
        "--prune-steps",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Prune and train in so many steps.",
    ),
    click.option(
        "--prune-distill",
        is_flag=True,
        help="The pruned network learns from the whole one too.",
    ),
)

TEACHER = (
    click.option("--teacher", metavar="ARCH", help="Learn from this network too (distillation)."),
    click.option(
        "--teacher-weights",
        type=click.Path(path_type=Path),
        help="Its weights, for the classes of the data.",
    ),
    click.option(
        "--teacher-alpha",
        type=float,
        metavar="A",
        help="Its width multiplier. Default: what its file says, or 1.",
    ),
    click.option(
        "--temperature",
        type=float,
        metavar="T",
        help="Of the softmax its answers are compared at; 4 if not given.",
    ),
    click.option(
        "--distill-weight",
        type=float,
        metavar="W",
        help="Its part of the loss, up to 1; 0.9 if not given.",
    ),
)

TRAINING = (
    click.option("--epochs", type=click.IntRange(1), help="Training epochs."),
    click.option("--threads", type=click.IntRange(1), help="Default: the faster of 1 and all."),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Seed of every random choice."
    ),
)

CACHE = (
    click.option(
        "--retrain", is_flag=True, help="Train even if the same training was done before."
    ),
    click.option("--resume", is_flag=True, help="Go on with the interrupted training."),
)

RAM = (
    click.option(
        "--ram",
        "ram_bytes",
        type=OptionalBytes(0),
        is_flag=False,
        flag_value=0,
        metavar="[BYTES]",
        help="Target c: compute layers in stripes of rows, so that the arena is as small as it "
        "can be, or has at most so many bytes at the fewest more instructions.",
    ),
)

PRINTING = (
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout."),
    click.option("--quiet", is_flag=True, help="No progress bars."),
)
