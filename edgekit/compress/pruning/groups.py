"""Which channels can only leave together: through depthwise layers, residual additions, gates.

A module enters; its groups of channels leave, as torch-pruning's dependency graph finds them (Fang
et al. 2023, https://arxiv.org/abs/2301.12900). The network's outputs are in no group, nor are
grouped convolutions that are not depthwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgekit import extras


@dataclass(frozen=True, eq=False)
class Group:
    """Channels that leave together.

    Attributes:
        parts: torch-pruning's own group; `parts.prune(indices)` removes channels.
        layers: the convolutions and matrices that write the channels.
        channels: their number.
    """

    parts: Any
    layers: tuple[nn.Module, ...]
    channels: int


def groups(module: nn.Module, input_shape: tuple[int, int, int, int]) -> list[Group]:
    """The groups that may shrink, in the module's order.

    Args:
        module: on the CPU; its parameters must require gradients.
        input_shape: (1, channels, height, width), any size that the network takes.

    Raises:
        MissingToolError: torch-pruning is not installed.
    """
    extras.require("train")
    import torch_pruning

    with torch.enable_grad():  # the pass is traced by its gradients
        graph = torch_pruning.DependencyGraph().build_dependency(
            module, (torch.zeros(input_shape),)
        )
    found = [
        Group(parts, tuple(_layers(graph, parts)), len(parts[0].idxs))
        for parts in graph.get_all_groups()
        if _may_shrink(graph, parts)
    ]
    place = {layer: index for index, layer in enumerate(module.modules())}
    return sorted(found, key=lambda group: min(place[layer] for layer in group.layers))


def _may_shrink(graph: Any, parts: Any) -> bool:
    """Whether the channels are neither the network's outputs nor in convolution groups."""
    makes_output = any(not writer.target.outputs for writer in _writers(graph, parts))
    return not makes_output and not any(_is_grouped(part.target.module) for part, _ in parts)


def _layers(graph: Any, parts: Any) -> list[nn.Module]:
    modules = [dependency.target.module for dependency in _writers(graph, parts)]
    return [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]


def _writers(graph: Any, parts: Any) -> list[Any]:
    """Of the dependencies, those on the outputs of a layer or an operation."""
    return [
        dependency for dependency, _ in parts if graph.is_out_channel_pruning_fn(dependency.handler)
    ]


def _is_grouped(layer: Any) -> bool:
    """Whether a layer is a grouped convolution other than a plain depthwise one."""
    if not isinstance(layer, nn.Conv2d) or layer.groups == 1:
        return False
    return not layer.groups == layer.in_channels == layer.out_channels
