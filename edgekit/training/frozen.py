"""What stays as it is while the rest of a network is trained: its backbone, or BatchNorm.

A module enters and is changed in place. Frozen parameters need no gradient, so that nothing behind
the classifier is differentiated; a BatchNorm whose parameters are frozen keeps its statistics too.
"""

from __future__ import annotations

from torch import nn

_CLASSIFIER_TENSORS = 2  # weight and bias: an architecture's last layer is its classifier


def freeze_backbone(module: nn.Module) -> None:
    """Freeze all but the last layer."""
    for parameter in list(module.parameters())[:-_CLASSIFIER_TENSORS]:
        parameter.requires_grad_(False)


def freeze_norms(module: nn.Module) -> None:
    """Freeze the BatchNorm layers."""
    for layer in norms(module):
        layer.requires_grad_(False)


def trained(module: nn.Module) -> list[nn.Parameter]:
    """The parameters that are not frozen, in order."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def norms(module: nn.Module, *, frozen: bool = False) -> list[nn.BatchNorm2d]:
    """The BatchNorm layers that are trained, or those that are not."""
    layers = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    return [layer for layer in layers if layer.weight.requires_grad != frozen]


def training_mode(module: nn.Module) -> None:
    """Training mode, but for frozen BatchNorm layers, which compute as when they are deployed."""
    module.train()
    for layer in norms(module, frozen=True):
        layer.eval()
