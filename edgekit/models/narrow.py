"""Layers as narrow as a pruned network's weights, without the network they were cut from.

A module of the whole architecture and a state dict enter; the module leaves with the widths of the
state dict, in place, freshly allocated: its values are undefined until the state is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def narrow(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give every layer the shapes that its weights have in a state dict.

    Layers that the state does not name keep theirs, and so do the outputs of the last one: another
    number of classes is no pruning.

    Args:
        module: from `module.build`.
        state: weights of a pruned network of the same architecture, by the module's own names.
    """
    layers = [(name, part) for name, part in module.named_modules() if _has_weight(part)]
    for index, (name, layer) in enumerate(layers):
        weight = state.get(f"{name}.weight")
        if weight is None or weight.dim() != layer.weight.dim():
            continue  # loading the state will say what does not match
        is_last = index == len(layers) - 1
        _resize(layer, (len(layer.weight) if is_last else len(weight), *weight.shape[1:]))


def _has_weight(part: nn.Module) -> bool:
    return isinstance(part, nn.Conv2d | nn.Linear | nn.BatchNorm2d)


def _resize(layer: nn.Module, shape: tuple[int, ...]) -> None:
    match layer:
        case nn.Conv2d():
            if layer.groups == layer.in_channels == layer.out_channels:
                layer.groups = shape[0]
            layer.in_channels, layer.out_channels = shape[1] * layer.groups, shape[0]
        case nn.Linear():
            layer.out_features, layer.in_features = shape
        case nn.BatchNorm2d():
            layer.num_features = shape[0]
            layer.running_mean, layer.running_var = torch.empty(shape), torch.empty(shape)
    layer.weight = nn.Parameter(torch.empty(shape))
    if layer.bias is not None:
        layer.bias = nn.Parameter(torch.empty(shape[0]))
