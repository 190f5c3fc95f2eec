"""The gradient of one batch, computed in shards by replicas of the network.

Every shard has its own replica: its BatchNorm sees that shard's images only, and its gradients are
its own. All replicas read the same vector of weights. What a shard computes does not depend on
which worker computes it, so the sum does not either.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from edgekit.training.flat import decayed, flatten
from edgekit.training.frozen import freeze_backbone, training_mode
from edgekit.training.recipe import Recipe
from edgekit.training.threads import Team

Batch = tuple[Tensor, Tensor]  # float32 (n, channels, height, width), int64 (n,)


class Shards:
    """A network as it is trained.

    Args:
        module: becomes the first replica; its parameters become views of `values`.
        recipe: for the number of shards, the loss, and whether only the classifier is trained.

    Attributes:
        module: the one given.
        values: its parameters, float32 (parameters,), without those that are frozen.
        decayed: which of them weight decay acts on, see `flat.decayed`.
    """

    def __init__(self, module: nn.Module, recipe: Recipe) -> None:
        if recipe.freeze_backbone:
            freeze_backbone(module)
        _prepare(module)
        copies = [copy.deepcopy(module) for _ in range(recipe.shards - 1)]
        self.decayed = decayed(module)
        self.values, gradient = flatten(module)
        self.replicas = [module, *copies]
        self._gradients = [gradient, *(flatten(replica, self.values)[1] for replica in copies)]
        self._smoothing = recipe.label_smoothing

    @property
    def module(self) -> nn.Module:
        """The first replica."""
        return self.replicas[0]

    def gradient(self, team: Team, batch: Callable[[int], Batch]) -> tuple[float, Tensor]:
        """Mean loss and summed gradient of one batch.

        Args:
            team: computes the shards.
            batch: shard number -> its images and targets; called by the worker.

        Returns:
            the loss, and a vector (parameters,) that the next call overwrites.
        """

        def compute(shard: int) -> float:
            images, targets = batch(shard)
            self._gradients[shard].zero_()
            logits = self.replicas[shard](images)
            loss = functional.cross_entropy(logits, targets, label_smoothing=self._smoothing)
            (loss / len(self.replicas)).backward()
            return float(loss.detach())

        losses = team.map(compute, range(len(self.replicas)))
        total, *others = self._gradients
        for other in others:
            total.add_(other)
        return sum(losses) / len(losses), total


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
