"""Pruning until the network costs no more than asked.

The cost that is allowed and a way to measure a module enter; the least pruned network within it
leaves. Refused: costs that no ratio up to 0.9 reaches.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

from torch import nn

from edgekit.compress.pruning.prune import Pruned
from edgekit.compress.pruning.rule import MAX_RATIO, Cost
from edgekit.errors import UsageError

Measure = Callable[[nn.Module], int]
_STEPS = 200  # ratios that are tried are multiples of 1 / 200
_TITLES: dict[Cost, str] = {
    "macs": "MACs",
    "params": "parameters",
    "ram": "bytes of RAM",
    "flash": "bytes of flash",
    "instructions": "instructions",
}


def prune_to(most: int, cost: Cost, measure: Measure, cut: Callable[[float], Pruned]) -> Pruned:
    """The least pruned network that costs at most so much.

    Args:
        most: that it may cost.
        cost: its name, for messages.
        measure: what a module costs; narrower modules must not cost more.
        cut: prunes by a ratio in (0, 0.9]; raises a UsageError where no channel leaves.

    Raises:
        UsageError: not even the narrowest network is that cheap.
    """

    @cache
    def at(step: int) -> tuple[Pruned, int] | None:
        try:
            pruned = cut(step / _STEPS)
        except UsageError:
            return None  # so small a ratio removes no channel
        return pruned, measure(pruned.module)

    def is_enough(step: int) -> bool:
        done = at(step)
        return done is not None and done[1] <= most

    steps = range(1, round(MAX_RATIO * _STEPS) + 1)
    index = bisect_left(steps, True, key=is_enough)
    found = at(steps[min(index, len(steps) - 1)])
    if index < len(steps) and found is not None:
        return found[0]
    reached = f" It has {found[1]:,} when it is as narrow as it gets." if found else ""
    raise UsageError(
        f"No pruning leaves at most {most:,} {_TITLES[cost]}.{reached}",
        hint="Ask for less pruning, or start from a narrower or smaller network (--alpha, --rho).",
    )
