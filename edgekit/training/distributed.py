"""Several processes as one `World`, by Lightning Fabric.

Fabric finds the devices, starts the other processes of this machine (which run the same command
line up to here) unless torchrun or SLURM has done so, lets all of them meet, and adds up vectors. A
GPU of one's own is a world of one.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from typing import TYPE_CHECKING, TypeVar, cast

from torch import Tensor

from edgekit import extras
from edgekit.errors import EdgekitError, InputError, MissingToolError
from edgekit.training.distribution import Distribution
from edgekit.training.world import ALONE, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lightning_fabric import Fabric

T = TypeVar("T")


class LostProcessError(EdgekitError):
    """Another process of the training ended, and this one cannot go on without it."""


class Together(World):
    """This process among those that Fabric launched."""

    def __init__(self, fabric: Fabric, neighbours: int) -> None:
        self._fabric = fabric
        self.rank, self.size = fabric.global_rank, fabric.world_size
        self.neighbours = neighbours
        self.device = fabric.device

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors, in place."""
        with _together():
            summed: Tensor = self._fabric.all_reduce(tensor, reduce_op="sum")
        return summed

    def first(self, function: Callable[[], T]) -> T:
        """What a function returns, or raises, in the first process."""
        outcome: T | EdgekitError | None = None
        if self.rank == 0:
            try:
                outcome = function()
            except EdgekitError as error:
                outcome = error
        with _together():
            outcome = self._fabric.broadcast(outcome)
        if isinstance(outcome, EdgekitError):
            raise outcome
        return cast(T, outcome)


def join(distribution: Distribution) -> World:
    """Start or meet the other processes.

    Every process of the training returns from here, each with its own rank.

    Raises:
        UsageError: see `Distribution.check`.
        MissingToolError: Fabric is not installed, or there are not so many GPUs.
    """
    distribution.check()
    if distribution.is_alone:
        return ALONE
    extras.require("distributed")
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # advice for those who write a loop with Fabric
            fabric = Fabric(
                accelerator=distribution.accelerator,
                devices=distribution.devices,
                num_nodes=distribution.num_nodes,
                strategy=distribution.strategy,
            )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise MissingToolError(
            f"{distribution.devices} devices of kind '{distribution.accelerator}' cannot be used: "
            f"{str(error).splitlines()[0]}",
            hint="--accelerator cpu works everywhere.",
        ) from error
    with _together():
        fabric.launch()
    return Together(fabric, distribution.devices)


@contextlib.contextmanager
def first_speaks(world: World) -> Iterator[World]:
    """The world, in which an error that all processes meet is raised by the first one only.

    The others leave in silence, with exit code 0: Fabric kills the first one when another fails,
    which might still have a checkpoint to write. A picture that cannot be read is one process's own
    trouble, and told by it.
    """
    try:
        yield world
    except EdgekitError as error:
        if world.rank and not isinstance(error, InputError):
            sys.exit(0)
        raise


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Turns a lost connection into an error with a sentence."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"The other processes of the training cannot be reached "
            f"({str(error).splitlines()[0]}).",
            hint="One of them ended: its own message says why. --resume goes on from the last "
            "whole epoch.",
        ) from error
