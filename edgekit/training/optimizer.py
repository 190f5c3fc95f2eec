"""Stochastic gradient descent with Nesterov's momentum, and the moving average of its weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekit.training.recipe import Recipe


@dataclass
class Weights:
    """What an update changes, each a float32 vector of shape (parameters,).

    Attributes:
        values: the parameters the gradients are taken at.
        velocity: momentum's running sum of gradients.
        average: exponential moving average of `values` (Polyak), the weights that are used.
        averaged: updates in the average since it was last restarted.
    """

    values: Tensor
    velocity: Tensor
    average: Tensor
    averaged: int = 0

    @staticmethod
    def start(values: Tensor) -> Weights:
        """Before the first update."""
        return Weights(values, torch.zeros_like(values), values.clone())

    def to(self, device: torch.device) -> Weights:
        """The same on a device."""
        return Weights(
            self.values.to(device),
            self.velocity.to(device),
            self.average.to(device),
            self.averaged,
        )


def update(
    weights: Weights, gradient: Tensor, decayed: Tensor, rate: float, recipe: Recipe
) -> None:
    """One step, in place (Sutskever et al. 2013, in the form of torch.optim.SGD).

    Args:
        weights: changed.
        gradient: of the loss, shape (parameters,); used up.
        decayed: 1 where weight decay acts, else 0, shape (parameters,).
        rate: learning rate of this step.
        recipe: for the momentum, the weight decay and the average.
    """
    gradient.addcmul_(weights.values, decayed, value=recipe.weight_decay)
    weights.velocity.mul_(recipe.momentum).add_(gradient)
    gradient.add_(weights.velocity, alpha=recipe.momentum)
    weights.values.sub_(gradient, alpha=rate)
    # Young averages forget faster, so that the random beginning does not linger.
    weights.averaged += 1
    keep = min(recipe.average_decay, weights.averaged / (weights.averaged + 9))
    weights.average.lerp_(weights.values, 1 - keep)
