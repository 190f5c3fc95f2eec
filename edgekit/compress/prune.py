"""Structured pruning: whole channels leave a trained network, which stays an ordinary dense one.

Enters a module on the CPU and the share of channels to remove; leaves `Pruned`: a narrower copy,
and how wide each layer was and is. Nothing is drawn at random: the same weights give the same
result.

Channels that must leave together (through depthwise convolutions, residual additions, squeeze and
excitation) are found by torch-pruning's dependency graph (Fang et al. 2023,
https://arxiv.org/abs/2301.12900). Of each such group those go whose weights are smallest: the L1
norm (Li et al. 2017, https://arxiv.org/abs/1608.08710) over all layers of the group. Widths stay
multiples of 8, because kernels compute channels in blocks: other widths make a network slower
instead of faster. The network's outputs are never pruned, nor are grouped convolutions that are not
depthwise.

Refused: a ratio out of (0, 0.9], weights that are not finite, networks where nothing can leave.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from edgekit import extras
from edgekit.errors import InputError, UsageError

MAX_RATIO = 0.9
MULTIPLE = 8
_LEAST = 8  # channels that any layer keeps


@dataclass(frozen=True)
class Width:
    """A layer's output channels (features of a matrix), before and after."""

    layer: str
    before: int
    after: int


@dataclass(frozen=True, eq=False)
class Pruned:
    """A narrower network.

    Attributes:
        module: the network, in evaluation mode; its BatchNorm statistics are those of the whole
            network, so it needs some training.
        asked: share of channels to remove.
        multiple: what the widths that changed are multiples of.
        widths: of the convolutions and matrices that could shrink, in the module's order.
        parameters_before, parameters_after: trainable ones.
    """

    module: nn.Module
    asked: float
    multiple: int
    widths: tuple[Width, ...]
    parameters_before: int
    parameters_after: int

    @property
    def reached(self) -> float:
        """Share of all channels in `widths` that left."""
        return 1 - sum(w.after for w in self.widths) / sum(w.before for w in self.widths)

    def to_json(self) -> dict[str, Any]:
        """Plain values for the report and the manifest."""
        return {
            "ratio": self.asked,
            "reached": round(self.reached, 4),
            "multiple": self.multiple,
            "params_before": self.parameters_before,
            "params_after": self.parameters_after,
            "widths": [asdict(width) for width in self.widths],
        }


def prune(
    module: nn.Module,
    ratio: float,
    input_shape: tuple[int, int, int, int],
    *,
    multiple: int = MULTIPLE,
) -> Pruned:
    """Remove the least important channels of every layer.

    Layers narrower than two multiples stay as they are; the others keep the multiple that is
    nearest to `1 - ratio` of their channels, and at least 8.

    Args:
        module: on the CPU; stays as it is.
        ratio: share of each layer's channels to remove, in (0, 0.9].
        input_shape: (1, channels, height, width), any size that the network takes.
        multiple: of the widths, at least 1; 8 suits every target.

    Raises:
        UsageError: the ratio or multiple is out of range, or no channel would leave.
        InputError: a weight is NaN or infinite.
        MissingToolError: torch-pruning is not installed.
    """
    if not 0 < ratio <= MAX_RATIO:  # a NaN compares false
        raise UsageError(
            f"The pruning ratio is {ratio:g}; it lies above 0 and at most {MAX_RATIO}.",
            hint="0.3 removes 30 % of the channels and about half of the parameters.",
        )
    if multiple < 1:
        raise UsageError(f"Widths cannot be multiples of {multiple}.")
    _check_finite(module)
    extras.require("train")
    narrow = copy.deepcopy(module).eval().requires_grad_(True)
    graph = _dependencies(narrow, input_shape)
    groups = [group for group in graph.get_all_groups() if _may_shrink(graph, group)]
    _cut(groups, ratio, multiple)
    shrinkable = {layer for group in groups for layer in _layers(graph, group)}
    return Pruned(
        module=narrow,
        asked=ratio,
        multiple=multiple,
        widths=tuple(
            Width(name, len(module.get_submodule(name).weight), len(layer.weight))
            for name, layer in narrow.named_modules()
            if layer in shrinkable
        ),
        parameters_before=_parameters(module),
        parameters_after=_parameters(narrow),
    )


def _check_finite(module: nn.Module) -> None:
    for key, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"The weights hold NaN or infinity in '{key}': nothing can be pruned.",
                hint="Training diverged: lower the learning rate and train again.",
            )


def _dependencies(module: nn.Module, input_shape: tuple[int, int, int, int]) -> Any:
    """torch-pruning's graph of which channels depend on which; it follows one forward pass."""
    import torch_pruning

    with torch.enable_grad():  # the pass is traced by its gradients
        return torch_pruning.DependencyGraph().build_dependency(module, (torch.zeros(input_shape),))


def _cut(groups: list[Any], ratio: float, multiple: int) -> None:
    """Remove the weakest channels of each group, in place."""
    counts = [len(group[0].idxs) for group in groups]
    kept = [_kept(count, ratio, multiple) for count in counts]
    if kept == counts:
        raise _nothing_leaves(max(counts, default=0), ratio, multiple)
    # All channels are judged on the whole network; only then does the first leave.
    losers = [_weakest(*task) for task in zip(groups, counts, kept, strict=True)]
    for group, indices in zip(groups, losers, strict=True):
        if indices:
            group.prune(indices)


def _may_shrink(graph: Any, group: Any) -> bool:
    """Whether a group's channels are neither the network's outputs nor in convolution groups."""
    makes_output = any(not writer.target.outputs for writer in _writers(graph, group))
    return not makes_output and not any(_is_grouped(part.target.module) for part, _ in group)


def _layers(graph: Any, group: Any) -> list[nn.Module]:
    """The convolutions and matrices that write a group's channels."""
    modules = [dependency.target.module for dependency in _writers(graph, group)]
    return [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]


def _writers(graph: Any, group: Any) -> list[Any]:
    """Of the group's dependencies, those on the outputs of a layer or an operation."""
    return [
        dependency for dependency, _ in group if graph.is_out_channel_pruning_fn(dependency.handler)
    ]


def _is_grouped(layer: Any) -> bool:
    """Whether a layer is a grouped convolution other than a plain depthwise one."""
    if not isinstance(layer, nn.Conv2d) or layer.groups == 1:
        return False
    return not layer.groups == layer.in_channels == layer.out_channels


def _kept(channels: int, ratio: float, multiple: int) -> int:
    """How many channels stay; halves round up."""
    if channels < max(2 * multiple, _LEAST):
        return channels
    nearest = math.floor(channels * (1 - ratio) / multiple + 0.5) * multiple
    return min(channels, max(nearest, multiple, _LEAST))


def _nothing_leaves(widest: int, ratio: float, multiple: int) -> UsageError:
    if _kept(widest, MAX_RATIO, multiple) == widest:
        return UsageError(
            "There is nothing to prune: every layer is as narrow as it gets "
            f"(the widest that could shrink has {widest} channels, in multiples of {multiple}).",
            hint="Leave --prune out, or start from a wider network (--alpha).",
        )
    wider = (widest - 1) // multiple * multiple + multiple / 2
    enough = math.ceil(1000 * (1 - wider / widest)) / 1000
    return UsageError(
        f"A pruning ratio of {ratio:g} removes no channel, in multiples of {multiple}.",
        hint=f"The widest layer, of {widest}, needs a ratio above {enough}.",
    )


def _weakest(group: Any, channels: int, kept: int) -> list[int]:
    """Indices of the channels of a group with the smallest L1 norm; the first of equal ones."""
    import torch_pruning

    norms = torch_pruning.importance.GroupMagnitudeImportance(p=1, normalizer=None)(group)
    order = torch.argsort(norms, stable=True).tolist()
    return sorted(int(index) for index in order[: channels - kept])


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
