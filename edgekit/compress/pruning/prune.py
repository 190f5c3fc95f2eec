"""Structured pruning: whole channels leave a trained network, which stays an ordinary dense one.

Enters a module on the CPU and the share of channels to remove; leaves `Pruned`: a narrower copy,
and how wide each layer was and is. Nothing is drawn at random: the same weights give the same
result.

Channels that must leave together form a group (`groups`), and of each group the least important
leave (`importance`). Widths stay multiples of what the target's kernels compute together: others
make a network slower instead of faster.

Refused: a ratio out of (0, 0.9], weights that are not finite, networks where nothing can leave.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.compress.pruning.groups import Group, groups
from edgekit.compress.pruning.importance import Batches, scores
from edgekit.compress.pruning.rule import MAX_RATIO, Rule
from edgekit.errors import InputError, UsageError

_LEAST = 8  # channels that any layer keeps
_USUAL = Rule()


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
        rule: by which they were chosen.
        widths: of the convolutions and matrices that could shrink, in the module's order.
        parameters_before, parameters_after: trainable ones.
    """

    module: nn.Module
    asked: float
    rule: Rule
    widths: tuple[Width, ...]
    parameters_before: int
    parameters_after: int

    @property
    def reached(self) -> float:
        """Share of all channels in `widths` that left."""
        return 1 - sum(w.after for w in self.widths) / sum(w.before for w in self.widths)

    def then(self, further: Pruned) -> Pruned:
        """This pruning and one of its outcome, as one."""
        after = {width.layer: width.after for width in further.widths}
        return replace(
            further,
            asked=1 - (1 - self.asked) * (1 - further.asked),
            widths=tuple(replace(w, after=after.get(w.layer, w.after)) for w in self.widths),
            parameters_before=self.parameters_before,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for the report and the manifest."""
        return {
            "ratio": round(self.asked, 4),
            "reached": round(self.reached, 4),
            **asdict(self.rule),
            "params_before": self.parameters_before,
            "params_after": self.parameters_after,
            "widths": [asdict(width) for width in self.widths],
        }


def prune(
    module: nn.Module,
    ratio: float,
    input_shape: tuple[int, int, int, int],
    rule: Rule = _USUAL,
    batches: Batches | None = None,
) -> Pruned:
    """Remove the least important channels.

    Layers narrower than two multiples stay as they are; the others keep a multiple of channels, the
    nearest to what the ratio leaves them, and at least 8.

    Args:
        module: on the CPU; stays as it is.
        ratio: share of the channels to remove, in (0, 0.9].
        input_shape: (1, channels, height, width), any size that the network takes.
        rule: which channels leave.
        batches: labelled images for the criterion taylor, see `importance.scores`.

    Raises:
        UsageError: the ratio or the rule is out of range, or no channel would leave.
        InputError: a weight is NaN or infinite.
        MissingToolError: torch-pruning is not installed.
    """
    if not 0 < ratio <= MAX_RATIO:  # a NaN compares false
        raise UsageError(
            f"The pruning ratio is {ratio:g}; it lies above 0 and at most {MAX_RATIO}.",
            hint="0.3 removes 30 % of the channels and about half of the parameters.",
        )
    check_finite(module)
    narrow = copy.deepcopy(module).eval().requires_grad_(True)
    found = groups(narrow, input_shape)
    # All channels are judged on the whole network; only then does the first leave.
    judged = scores(narrow, found, rule.criterion, batches)
    kept = _kept(found, judged, ratio, rule)
    if kept == [group.channels for group in found]:
        raise _nothing_leaves(max((g.channels for g in found), default=0), ratio, rule)
    for group, score, count in zip(found, judged, kept, strict=True):
        remove_weakest(group, score, group.channels - count)
    narrow.zero_grad()
    return Pruned(
        module=narrow,
        asked=ratio,
        rule=rule,
        widths=_widths(module, narrow, {layer for group in found for layer in group.layers}),
        parameters_before=_parameters(module),
        parameters_after=_parameters(narrow),
    )


def check_finite(module: nn.Module) -> None:
    """Nothing if all weights are finite.

    Raises:
        InputError: names the first tensor that holds NaN or infinity.
    """
    for key, value in module.state_dict().items():
        if not torch.isfinite(value).all():
            raise InputError(
                f"The weights hold NaN or infinity in '{key}': nothing can be pruned.",
                hint="Training diverged: lower the learning rate and train again.",
            )


def remove_weakest(group: Group, score: Tensor, count: int) -> None:
    """Remove the channels of a group with the lowest scores, in place; the first of equal ones."""
    if count:
        order = torch.argsort(score, stable=True).tolist()
        group.parts.prune(sorted(int(index) for index in order[:count]))


def _kept(found: Sequence[Group], judged: Sequence[Tensor], ratio: float, rule: Rule) -> list[int]:
    """How many channels each group keeps."""
    left = [group.channels * (1 - ratio) for group in found]
    if rule.scope == "global":
        left = _ranked_together(found, judged, ratio, rule)
    return [_aligned(group.channels, part, rule) for group, part in zip(found, left, strict=True)]


def _ranked_together(
    found: Sequence[Group], judged: Sequence[Tensor], ratio: float, rule: Rule
) -> list[float]:
    """How many channels of each group are among those that stay when all are ranked together."""
    ranked = [score / score.mean().clamp(min=1e-30) for score in judged]
    open_ = [r for r, g in zip(ranked, found, strict=True) if g.channels >= _narrowest(rule)]
    if not open_:
        return [float(group.channels) for group in found]
    every = torch.sort(torch.cat(open_)).values
    border = every[min(int(ratio * len(every)), len(every) - 1)]
    # No layer becomes a bottleneck that nothing passes: what MAX_RATIO leaves is the least.
    return [
        max(float((rank >= border).sum()), group.channels * (1 - MAX_RATIO))
        for rank, group in zip(ranked, found, strict=True)
    ]


def _narrowest(rule: Rule) -> int:
    """The fewest channels of which any can leave."""
    return max(2 * rule.multiple, _LEAST)


def _aligned(channels: int, left: float, rule: Rule) -> int:
    """How many channels stay; halves round up."""
    if channels < _narrowest(rule):
        return channels
    nearest = math.floor(left / rule.multiple + 0.5) * rule.multiple
    return min(channels, max(nearest, rule.multiple, _LEAST))


def _nothing_leaves(widest: int, ratio: float, rule: Rule) -> UsageError:
    multiple = rule.multiple
    if _aligned(widest, widest * (1 - MAX_RATIO), rule) == widest:
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


def _widths(whole: nn.Module, narrow: nn.Module, shrinkable: set[nn.Module]) -> tuple[Width, ...]:
    return tuple(
        Width(name, len(whole.get_submodule(name).weight), len(layer.weight))
        for name, layer in narrow.named_modules()
        if layer in shrinkable
    )


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
