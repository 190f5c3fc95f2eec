"""From a recipe to the epochs of one training: resolution, batch and learning rate (no torch).

Enter a recipe, the number of training images and the network's input size; leaves a tuple of
epochs. The unit of work is one image at the network's full resolution, forward and backward; an
image at half the side costs a quarter of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgekit.training.recipe import Recipe, Stage

# The networks halve the picture five times. At multiples of 32 every layer sees an even size, so
# that SAME padding falls on the same sides at every resolution.
_GRID = 32


@dataclass(frozen=True)
class Epoch:
    """One pass over the training split.

    Attributes:
        number: from 1.
        height, width: of the images, in pixels.
        steps: updates; images that fill no batch are left for another epoch's order.
        batch: images an update.
        begin, end: of this epoch, as fractions of the whole training's work.
        first_of_size: the epoch before, if any, had another height or width.
        strength: of the augmentation, see `Stage`.
    """

    number: int
    height: int
    width: int
    steps: int
    batch: int
    begin: float
    end: float
    first_of_size: bool
    strength: float

    @property
    def images(self) -> int:
        """Images seen in this epoch."""
        return self.steps * self.batch


def plan(recipe: Recipe, images: int, height: int, width: int) -> tuple[Epoch, ...]:
    """The epochs of a training.

    Without `recipe.epochs`, a stage gets its share of `recipe.work`, so that a data set of any size
    costs about the same, until small ones reach `max_epochs` repetitions. The last stage gets at
    least one epoch, so that the network ends at its own resolution.

    Args:
        recipe: see `Recipe`.
        images: in the training split, at least as many as a batch has shards.
        height, width: of the network's input, in pixels.
    """
    passes = [recipe.work * stage.share / stage.scale**2 for stage in recipe.stages]
    total = sum(passes)
    epochs = recipe.epochs or min(recipe.max_epochs, max(1, round(total / images)))
    batch = min(recipe.batch, images)
    batch -= batch % recipe.shards
    stages = [
        stage
        for stage, count in zip(recipe.stages, _whole(passes, epochs), strict=True)
        for _ in range(count)
    ]
    sizes = [_size(stage, height, width) for stage in stages]
    costs = [h * w for h, w in sizes]
    ends = [sum(costs[: i + 1]) / sum(costs) for i in range(epochs)]
    return tuple(
        Epoch(
            number=i + 1,
            height=height,
            width=width,
            steps=images // batch,
            batch=batch,
            begin=ends[i - 1] if i else 0.0,
            end=ends[i],
            first_of_size=i == 0 or sizes[i - 1] != sizes[i],
            strength=stages[i].strength,
        )
        for i, (height, width) in enumerate(sizes)
    )


def learning_rate(recipe: Recipe, epoch: Epoch, step: int) -> float:
    """At one step of an epoch: linear warm-up, then half a cosine down to 0, over the work.

    A batch smaller than the recipe's gets proportionally less (Goyal et al. 2017,
    https://arxiv.org/abs/1706.02677).
    """
    highest = recipe.learning_rate * epoch.batch / recipe.batch
    done = epoch.begin + (epoch.end - epoch.begin) * (step + 0.5) / epoch.steps
    if done < recipe.warmup:
        return highest * done / recipe.warmup
    return highest * (1 + math.cos(math.pi * (done - recipe.warmup) / (1 - recipe.warmup))) / 2


def _size(stage: Stage, height: int, width: int) -> tuple[int, int]:
    def side(full: int) -> int:
        if stage.scale == 1:
            return full
        return min(full, max(1, round(full * stage.scale / _GRID)) * _GRID)

    return side(height), side(width)


def _whole(passes: list[float], epochs: int) -> list[int]:
    """`epochs` shared out like `passes`, by largest remainder; the last gets at least one."""
    exact = [epochs * part / sum(passes) for part in passes]
    counts = [int(part) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: epochs - sum(counts)]:
        counts[i] += 1
    if counts[-1] == 0:
        counts[counts.index(max(counts))] -= 1
        counts[-1] = 1
    return counts
