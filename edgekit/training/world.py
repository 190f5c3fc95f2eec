"""The processes that train one network together: by default a single one, alone.

Shards are what is shared out: each process computes its part of every batch's shards, with their
images and random choices by shard number, so that a training comes out the same however many
processes it has, up to the order in which gradients are added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from edgekit.errors import UsageError
from edgekit.training.images import CPU

T = TypeVar("T")


class World:
    """One process alone; `distributed.Together` overrides what takes others.

    Attributes:
        rank: of this process, from 0; the first one keeps checkpoints and speaks to the user.
        size: number of processes.
        neighbours: how many of them run on this machine, this one included.
        device: where this process computes.
    """

    rank: int = 0
    size: int = 1
    neighbours: int = 1
    device: torch.device = CPU

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of all processes' tensors, which may overwrite the one given."""
        return tensor

    def first(self, function: Callable[[], T]) -> T:
        """What a function returns in the first process, the only one to call it.

        Raises:
            EdgekitError: what it raises there is raised everywhere.
        """
        return function()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        return bool(self.total(torch.tensor(float(flag), device=self.device)))

    def part(self, count: int) -> range:
        """This process's part of `count` shards.

        Raises:
            UsageError: they cannot be shared out evenly.
        """
        if count % self.size:
            raise UsageError(f"{self.size} processes cannot share {count} shards evenly.")
        each = count // self.size
        return range(self.rank * each, (self.rank + 1) * each)


ALONE = World()
