"""Which layers can lose channels: each alone is pruned, and the network judged without training.

A module and a judge enter; for every group of channels its accuracy at a few shares leaves (Li et
al. 2017, https://arxiv.org/abs/1608.08710, section 3.2). BatchNorm's statistics stay those of the
whole network, so that accuracies rank layers; what a training would mend is not in them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from edgekit.compress.pruning.groups import Group, groups
from edgekit.compress.pruning.importance import Batches, scores
from edgekit.compress.pruning.prune import check_finite, remove_weakest
from edgekit.compress.pruning.rule import Criterion
from edgekit.progress import Progress, silent

SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Sensitivity:
    """What one group of channels means to the network.

    Attributes:
        layers: the convolutions and matrices that write the channels, by name.
        channels: their number.
        accuracy: without a share of them, in the order of the shares that were asked for.
        parameters: that the network loses with a share of them, likewise.
    """

    layers: tuple[str, ...]
    channels: int
    accuracy: tuple[float, ...]
    parameters: tuple[int, ...]


def sensitivity(
    module: nn.Module,
    input_shape: tuple[int, int, int, int],
    judge: Callable[[nn.Module], float],
    *,
    criterion: Criterion = "magnitude",
    shares: Sequence[float] = SHARES,
    batches: Batches | None = None,
    progress: Progress = silent,
) -> list[Sensitivity]:
    """Every group's sensitivity, in the module's order.

    Args:
        module: trained, on the CPU; stays as it is.
        input_shape: (1, channels, height, width).
        judge: accuracy of a module.
        criterion: which channels leave first.
        shares: of the channels that leave, in (0, 1).
        batches: labelled images for the criterion taylor.
        progress: told the networks judged.

    Raises:
        InputError: a weight is NaN or infinite.
        UsageError, MissingToolError: see `groups.groups` and `importance.scores`.
    """
    check_finite(module)

    def anew() -> tuple[nn.Module, list[Group]]:
        copied = copy.deepcopy(module).eval().requires_grad_(True)
        return copied, groups(copied, input_shape)

    whole, found = anew()
    judged = scores(whole, found, criterion, batches)
    names = {layer: name for name, layer in whole.named_modules()}
    done = []
    for index, group in enumerate(found):
        accuracy, lost = [], []
        for share in shares:
            narrow, own = anew()
            remove_weakest(own[index], judged[index], round(share * group.channels))
            accuracy.append(judge(narrow))
            lost.append(_size(whole) - _size(narrow))
            progress("prune one layer", len(shares) * index + len(lost), len(shares) * len(found))
        layers = tuple(names[layer] for layer in group.layers)
        done.append(Sensitivity(layers, group.channels, tuple(accuracy), tuple(lost)))
    return done


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
