"""BatchNorm statistics for a network whose own were folded away.

A module that computes the right thing in evaluation mode enters, with BatchNorm layers that hold
made-up statistics, as weights out of a .tflite file do. Training normalizes by the batch, and would
begin with another function. Here each layer gets the mean and variance its input really has, and
gamma and beta that undo them: in evaluation mode the network computes what it did before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.training.frozen import norms
from edgekit.training.images import Images

_IMAGES = 512
_CHUNK = 64  # images at once


def restore_statistics(module: nn.Module, images: Images, seed: int) -> None:
    """Give every BatchNorm layer the statistics of its input, in place; leaves evaluation mode.

    Args:
        module: float images (n, channels, height, width) -> logits.
        images: of the training, up to 512 of which are looked at.
        seed: of their choice.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:_IMAGES]
    moments: dict[nn.Module, list[Tensor]] = {layer: [] for layer in norms(module)}
    hooks = [layer.register_forward_pre_hook(_moments_into(moments)) for layer in moments]
    module.eval()
    with torch.no_grad():
        for chunk in np.array_split(chosen, -(-len(chosen) // _CHUNK)):
            module(images.inputs(chunk))
        for layer, found in moments.items():
            _renormalize(layer, *torch.stack(found).mean(0))
    for hook in hooks:
        hook.remove()


def _moments_into(moments: dict[nn.Module, list[Tensor]]) -> Callable[..., None]:
    def look(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        x = inputs[0].double()  # (n, channels, height, width)
        moments[layer].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

    return look


def _renormalize(layer: Any, mean: Tensor, square: Tensor) -> None:
    """New statistics, each of shape (channels,), and the gamma and beta that make up for them."""
    variance = (square - mean.square()).clamp_min(0)
    factor = layer.weight.double() / (layer.running_var.double() + layer.eps).sqrt()
    layer.bias.add_(factor * (mean - layer.running_mean.double()))
    layer.weight.copy_(factor * (variance + layer.eps).sqrt())
    layer.running_mean.copy_(mean)
    layer.running_var.copy_(variance)
