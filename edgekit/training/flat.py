"""A module's trained parameters as one vector; frozen ones stay where they are.

The optimizer, the moving average, the sum of the shards' gradients and the checkpoint then are a
few operations on whole vectors instead of loops over a hundred small tensors, which at low
resolution would cost a fifth of a step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.training.frozen import trained


def flatten(module: nn.Module, values: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Move the parameters into one float32 vector, their gradients into another.

    Args:
        module: its parameters become views of the vector and keep their shapes.
        values: a vector that is already filled (a replica then shares its memory); by default a new
            one, with the module's present values.

    Returns:
        values and gradients, each of shape (parameters,); changing them changes the module.
    """
    parameters = trained(module)
    if values is None:
        values = torch.cat([p.detach().reshape(-1).float() for p in parameters])
    gradients = torch.zeros_like(values)
    start = 0
    for p in parameters:
        end = start + p.numel()
        p.data = values[start:end].view(p.shape)
        p.grad = gradients[start:end].view(p.shape)
        start = end
    return values, gradients


def decayed(module: nn.Module) -> Tensor:
    """float32 (parameters,): 1 in convolutions and matrices, 0 in biases and BatchNorm."""
    return torch.cat([torch.full((p.numel(),), float(p.ndim > 1)) for p in trained(module)])
