"""How much a channel matters, by one of four criteria; the least important leave.

Groups enter, a score for each of their channels leaves, in torch-pruning's implementation, which
takes the mean over all layers that write or read the channel:

- magnitude: the L1 norm of its weights (Li et al. 2017, https://arxiv.org/abs/1608.08710).
- bn-scale: the factors of its BatchNorm (Liu et al. 2017, https://arxiv.org/abs/1708.06519).
- taylor: what the loss would change without its weights, to first order, from gradients on training
  images (Molchanov et al. 2019, https://arxiv.org/abs/1906.10771).
- fpgm: the distance of its weights from those of all others: what others nearly repeat leaves (He
  et al. 2019, https://arxiv.org/abs/1811.00250).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.compress.pruning.groups import Group
from edgekit.compress.pruning.rule import Criterion
from edgekit.errors import UsageError

Batches = Iterable[tuple[Tensor, Tensor]]


def scores(
    module: nn.Module, groups: list[Group], criterion: Criterion, batches: Batches | None = None
) -> list[Tensor]:
    """The importance of each channel of each group, float32 (channels,).

    Args:
        module: what the groups are of; taylor leaves gradients in it.
        groups: in any order.
        criterion: which of the four.
        batches: for taylor: float images (n, channels, height, width) and classes (n,) int64.

    Raises:
        UsageError: taylor without labelled images.
    """
    if criterion == "taylor":
        _differentiate(module, batches)
    judge, usual = _judge(criterion), _judge("magnitude")
    # A group without BatchNorm has no factors: its weights decide.
    return [_score(judge if _has(judge, group) else usual, group) for group in groups]


def _judge(criterion: Criterion) -> Any:
    from torch_pruning.pruner import importance

    match criterion:
        case "magnitude":
            return importance.GroupMagnitudeImportance(p=1, normalizer=None)
        case "bn-scale":
            return importance.BNScaleImportance(normalizer=None)
        case "taylor":
            return importance.GroupTaylorImportance(normalizer=None)
        case "fpgm":
            return importance.FPGMImportance(normalizer=None)


def _has(judge: Any, group: Group) -> bool:
    kinds = tuple(judge.target_types)
    return any(isinstance(part.target.module, kinds) for part, _ in group.parts)


def _score(judge: Any, group: Group) -> Tensor:
    found: Tensor = judge(group.parts)
    return found


def _differentiate(module: nn.Module, batches: Batches | None) -> None:
    """Leave the gradients of the cross-entropy in the parameters, summed over the batches."""
    if batches is None:
        raise UsageError(
            "The pruning criterion 'taylor' needs labelled training images.",
            hint="Take magnitude, which needs none.",
        )
    module.zero_grad()
    with torch.enable_grad():
        for images, classes in batches:
            nn.functional.cross_entropy(module(images), classes).backward()
