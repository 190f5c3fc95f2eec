"""A trained network loses channels, in one step or several, and is trained further after each.

A network with weights and what is asked of the pruning enter; the narrower network leaves, trained,
with an account of every layer. Refused: targets that the network reaches as it is, or never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from edgekit.backends import registry as backends
from edgekit.compress.pruning.rule import MULTIPLE, Rule, Target
from edgekit.data import Dataset
from edgekit.errors import UsageError
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.lesson import TEMPERATURE, WEIGHT
from edgekit.stages.pruning_cost import measure_of
from edgekit.stages.request import Request, Training
from edgekit.training.recipe import Distillation, Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from edgekit.compress.pruning.prune import Pruned
    from edgekit.training.records import Trained
    from edgekit.training.teacher import Teacher

_JUDGED_IMAGES, _BATCH = 512, 64  # training images whose gradients rank channels


@dataclass(frozen=True, eq=False)
class Pruner:
    """What is asked of a pruning, for one network and one data set."""

    request: Training
    spec: ModelSpec
    dataset: Dataset
    contract: Preprocessing

    @property
    def rule(self) -> Rule:
        """Which channels leave."""
        request = self.request
        multiple = MULTIPLE
        if isinstance(request, Request):
            multiple = backends.get(request.target).multiple
        return Rule(request.prune_by, request.prune_scope, multiple)

    def foresee(self, module: nn.Module) -> None:
        """Nothing if the untrained network can be pruned as asked: found out before it is trained.

        Raises:
            UsageError: nothing would leave, or no pruning reaches the target.
            MissingToolError: torch-pruning is not installed.
        """
        by_weights = replace(self.rule, criterion="magnitude")
        self._step(module, module, by_weights, 1, 1)

    def prune(
        self,
        module: nn.Module,
        recipe: Recipe,
        training: Callable[..., Trained],
        resume: bool,
        progress: Progress,
    ) -> tuple[nn.Module, Pruned, list[tuple[Recipe, Trained]]]:
        """The narrower network, what left it, and the trainings after each step.

        Args:
            module: the whole network, trained; stays as it is.
            recipe: of the training after the last step; earlier steps get a part of it each.
            training: `training.train.train` for this network and data.
            resume: go on with the training that was broken off.
            progress: told the images seen.

        Raises:
            EdgekitError: see `compress.pruning` and `training.train.train`.
        """
        steps = self.request.prune_steps
        if self.request.prune_distill:
            teacher, taught = self._teacher(module)
            recipe = replace(recipe, distillation=taught)
            training = partial(training, teacher=teacher)
        narrow, widths, done = module, None, []
        for step in range(1, steps + 1):
            pruned = self._step(module, narrow, self.rule, step, steps)
            if pruned is None:
                continue  # too small a step for any channel to leave
            own = recipe if step == steps else _short(recipe, steps)
            trained = training(
                own, module=pruned.module, resume=resume, progress=_named(progress, step, steps)
            )
            resume = resume and trained.from_cache
            pruned.module.load_state_dict(trained.state)
            done.append((own, trained))
            widths = pruned if widths is None else widths.then(pruned)
            narrow = pruned.module
        assert widths is not None  # `foresee` has seen channels leave
        return narrow, widths, done

    def _step(
        self, whole: nn.Module, module: nn.Module, rule: Rule, step: int, steps: int
    ) -> Pruned | None:
        """One step; None where it removes nothing, which the last step must not."""
        from edgekit.compress.pruning.prune import prune
        from edgekit.compress.pruning.target import prune_to

        batches = (
            list(ranking_pictures(self.dataset, self.contract, self.request.seed))
            if rule.criterion == "taylor"
            else None
        )
        cut = partial(prune, module, input_shape=self.spec.input_shape, rule=rule, batches=batches)
        try:
            if self.request.prune_to is None:
                assert self.request.prune is not None
                return cut(1 - (1 - self.request.prune) ** (1 / steps))
            target = Target.parse(self.request.prune_to)
            measure = measure_of(target.cost, self.request, self.spec)
            most = target.part(measure(whole), step, steps)
            _require_less(target, measure(module), most)
            return prune_to(most, target.cost, measure, cut)
        except UsageError:
            if step < steps:
                return None
            raise

    def _teacher(self, whole: nn.Module) -> tuple[Teacher, Distillation]:
        """The whole network as it is now, for the narrower one to learn from."""
        from edgekit.training.checkpoint import digest
        from edgekit.training.teacher import Teacher

        taught = Distillation(
            temperature=TEMPERATURE,
            weight=WEIGHT,
            teacher={
                "model": self.spec.to_json(),
                "preprocessing": self.contract.to_json(),
                "sha256": digest(whole),
            },
        )
        return Teacher(deepcopy(whole), self.contract), taught


def ranking_pictures(
    dataset: Dataset, contract: Preprocessing, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Training images and their classes, chosen by the seed, whose gradients rank channels."""
    from edgekit.training.images import Images

    images = Images(dataset.splits["train"], contract)
    order = np.random.default_rng(seed).permutation(len(images))
    return images.labelled(order[:_JUDGED_IMAGES], _BATCH)


def _require_less(target: Target, has: int, most: int) -> None:
    if has <= most:
        raise UsageError(
            f"--prune-to {target.cost}: the network needs {has:,} as it is, no more than the "
            f"{most:,} allowed.",
            hint="Leave --prune-to out, or ask for less.",
        )


def _short(recipe: Recipe, steps: int) -> Recipe:
    """Of a step that others follow."""
    return replace(
        recipe,
        epochs=recipe.epochs and -(-recipe.epochs // steps),
        work=-(-recipe.work // steps),
        max_epochs=-(-recipe.max_epochs // steps),
    )


def _named(progress: Progress, step: int, steps: int) -> Progress:
    name = "fine-tune" if steps == 1 else f"fine-tune {step} of {steps}"
    return lambda what, done, total: progress(f"{name}: {what}", done, total)
