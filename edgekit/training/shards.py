"""The gradient of one batch, computed in shards by replicas of the network.

Every shard has its own replica: its BatchNorm sees that shard's images only, and its gradients are
its own. All replicas read the same vector of weights. What a shard computes does not depend on
which worker computes it, so the sum does not either.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from edgekit.training.flat import decayed, flatten
from edgekit.training.frozen import freeze_backbone, freeze_norms, training_mode
from edgekit.training.loss import Batch, loss
from edgekit.training.recipe import Precision, Recipe
from edgekit.training.threads import Team

_HALVES = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
# Gradients below 2^-24 would vanish in float16. A power of two, which rounds nothing away.
_LOSS_SCALE = 1024.0


class Shards:
    """A network as it is trained.

    Args:
        module: becomes the first replica; its parameters become views of `values`.
        recipe: for the number of shards, the loss, the precision, and what stays frozen.
        numbers: the shards to compute; by default all of the recipe's.

    Attributes:
        replicas: one a shard, the module given first.
        values: the trained parameters, float32 (parameters,), without those that are frozen.
        decayed: which of them weight decay acts on, see `flat.decayed`.
    """

    def __init__(self, module: nn.Module, recipe: Recipe, numbers: range | None = None) -> None:
        self._recipe = recipe
        self._numbers = range(recipe.shards) if numbers is None else numbers
        if recipe.freeze_backbone:
            freeze_backbone(module)
        if recipe.frozen_norms:
            freeze_norms(module)
        _prepare(module)
        copies = [copy.deepcopy(module) for _ in self._numbers[1:]]
        self.replicas = [module, *copies]
        self.decayed = decayed(module)
        self.values, gradient = flatten(module)
        self._gradients = [gradient, *(flatten(replica, self.values)[1] for replica in copies)]

    @property
    def module(self) -> nn.Module:
        """The first replica."""
        return self.replicas[0]

    def gradient(self, team: Team, batch: Callable[[int], Batch]) -> tuple[float, Tensor]:
        """These shards' part of the mean loss of one batch, and of its gradient.

        Args:
            team: computes the shards.
            batch: shard number -> its images and targets; called by the worker.

        Returns:
            the loss, and a vector (parameters,) that the next call overwrites.
        """
        scale = _LOSS_SCALE if self._recipe.precision == "16-mixed" else 1.0

        def compute(place: int) -> float:
            given = batch(self._numbers[place])
            self._gradients[place].zero_()
            with _precision(self._recipe.precision, self.values.device):
                logits = self.replicas[place](given.images)
            found = loss(logits, given, self._recipe)
            (scale * found / self._recipe.shards).backward()
            return float(found.detach())

        losses = team.map(compute, range(len(self.replicas)))
        total, *others = self._gradients
        for other in others:
            total.add_(other)
        if scale != 1:
            total.div_(scale)
        return sum(losses) / self._recipe.shards, total


def _precision(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    if precision == "32-true":
        return nullcontext()
    # Every weight is used once a pass: a cache, which threads would share, could save nothing.
    halves: AbstractContextManager[object] = torch.autocast(
        device.type, _HALVES[precision], cache_enabled=False
    )
    return halves


def _prepare(module: nn.Module) -> None:
    """Make a module fit for training here: in place, without a change to what it computes.

    Dropout is switched off: the schedules are too short for it, and it draws from torch's global
    generator, in an order that depends on the threads.
    """
    training_mode(module)
    for part in module.modules():
        if isinstance(part, nn.ReLU | nn.ReLU6 | nn.Hardtanh):
            # torch saves a clamp's input for the gradient: in place, it first copies it.
            part.inplace = False
        elif isinstance(part, nn.Dropout | nn.Dropout2d):
            part.p = 0.0
