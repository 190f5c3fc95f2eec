"""The training loop: a module and a data set in, trained weights and their history out.

Every random choice of a step is drawn from a generator seeded with (seed, epoch, step, shard). So a
position in the training needs no generator's state, and a resumed training goes on exactly as if it
had never stopped. On one machine with one torch, results do not depend on the number of threads up
to `recipe.shards`; with more threads they repeat for the same number. Processes share the shards
of each batch out (see `world`); all of them end with the same weights.

A loss that is not finite, and splits too small to train with, are refused.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.data import Dataset, SplitName
from edgekit.errors import EdgekitError, InputError, UsageError
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.training.augment import augment, draw
from edgekit.training.evaluate import Evaluation, recalibrate, validate
from edgekit.training.frozen import training_mode
from edgekit.training.images import Images, Indices
from edgekit.training.interrupt import Interrupt
from edgekit.training.loss import Batch
from edgekit.training.optimizer import Weights, update
from edgekit.training.recipe import Recipe
from edgekit.training.records import EpochRecord, Position, Trained
from edgekit.training.schedule import Epoch, learning_rate, plan
from edgekit.training.shards import Shards
from edgekit.training.teacher import Teacher
from edgekit.training.threads import Team, best_time, cores, pick_threads
from edgekit.training.world import ALONE, World

_CALIBRATION_IMAGES = 2048  # for BatchNorm's statistics
_MIN_SHARD = 2  # images: one alone has no variance for BatchNorm


def fit(
    module: nn.Module,
    dataset: Dataset,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    start: Position | None = None,
    save: Callable[[Position], None] | None = None,
    threads: int | None = None,
    teacher: Teacher | None = None,
    world: World = ALONE,
    progress: Progress = silent,
) -> Trained:
    """Train a copy of a module; the one given stays as it is.

    Args:
        module: float images (n, channels, height, width), of any size -> logits (n, classes).
        dataset: with the splits "train" and "validation".
        preprocessing: at the network's own resolution.
        recipe: how to train.
        start: go on from here; by default from the module's weights.
        save: called with the position at the start, between epochs, and on Ctrl-C or SIGTERM.
        threads: that compute in this process; by default the faster of one and all cores, or a
            fair part of the cores where processes share a machine.
        teacher: where the recipe says to learn from one.
        world: the processes that train together; all call this with the same arguments.
        progress: told the images seen, once for each resolution.

    Raises:
        EdgekitError: the loss is no longer finite.
        InputError: a split is too small.
        UsageError: a teacher is missing or not asked for, or the shards cannot be shared out.
    """
    if (teacher is None) != (recipe.distillation is None):
        raise UsageError("A teacher and a recipe with a distillation come together.")
    epochs = _planned(dataset, preprocessing, recipe)
    threads = threads or _threads(module, preprocessing, recipe, epochs[0], world)
    save = save or (lambda position: None)
    with Team(threads, recipe.shards) as team, Interrupt() as interrupt:
        given = dataset, preprocessing, recipe, team, start, teacher, world
        run = _Run(copy.deepcopy(module), *given)
        save(run.at)
        for epoch in epochs[run.at.epoch - 1 :]:
            began = time.perf_counter() - run.at.seconds
            order = run.order(epoch)
            for step in range(len(run.at.losses), epoch.steps):
                if world.any(interrupt.asked):
                    run.at.seconds = time.perf_counter() - began
                    save(run.at)
                    state, quality = run.averaged(epochs[-1], order)
                    return Trained(
                        state,
                        tuple(run.at.history),
                        quality.top1,
                        interrupted=True,
                        stopped_by=interrupt.number,
                    )
                run.step(epoch, step, order)
                progress(*_seen(epoch, epochs, step))
            state, quality = run.averaged(epoch, order)
            run.record(epoch, quality, time.perf_counter() - began)
            if epoch is not epochs[-1]:
                save(run.at)
    return Trained(state, tuple(run.at.history), quality.top1, stopped_by=interrupt.number)


class _Run:
    """A training under way: the network, the images it sees, and how far it is."""

    def __init__(
        self,
        module: nn.Module,
        dataset: Dataset,
        preprocessing: Preprocessing,
        recipe: Recipe,
        team: Team,
        start: Position | None,
        teacher: Teacher | None,
        world: World,
    ) -> None:
        self.splits, self.preprocessing = dataset.splits, preprocessing
        self.recipe, self.team, self.world = recipe, team, world
        self.teacher = teacher and teacher.on(world.device)
        self.mine = world.part(recipe.shards)
        module.load_state_dict(world.first(module.state_dict))
        self.network = Shards(module.to(world.device), recipe, self.mine)
        self.at = start or Position(Weights.start(self.network.values))
        self.at.weights = self.at.weights.to(world.device)
        self.network.values.copy_(self.at.weights.values)
        self.at.weights.values = self.network.values

    def order(self, epoch: Epoch) -> Indices:
        """The training images of an epoch in the order they are seen, (epoch.images,)."""
        rng = np.random.default_rng([self.recipe.seed, epoch.number])
        return rng.permutation(len(self.splits["train"]))[: epoch.images]

    def step(self, epoch: Epoch, step: int, order: Indices) -> None:
        """One update of the weights."""
        if step == 0 and epoch.first_of_size:
            self.at.weights.averaged = 0  # weights for another resolution would spoil the mean
        images = self._images("train", epoch)
        parts = self._parts(epoch, step, order)
        if step + 1 < epoch.steps:
            self._prefetch(images, self._parts(epoch, step + 1, order))
        loss, gradient = self._total(
            *self.network.gradient(
                self.team,
                lambda shard: self._batch(images, parts[shard], epoch, (step, shard + 1)),
            )
        )
        rate = learning_rate(self.recipe, epoch, step)
        if not math.isfinite(loss):
            raise EdgekitError(
                f"The training loss became {loss} in epoch {epoch.number}, "
                f"at a learning rate of {rate:.3g}.",
                hint=f"Train with a learning rate lower than {self.recipe.learning_rate}.",
            )
        self.at.losses.append(loss)
        if self.recipe.precision == "16-mixed" and not gradient.isfinite().all():
            return  # beyond float16's range: customary to leave such a step out
        self.team.run(
            lambda: update(self.at.weights, gradient, self.network.decayed, rate, self.recipe)
        )

    def _parts(self, epoch: Epoch, step: int, order: Indices) -> list[Indices]:
        """The images of one step, by shard."""
        batch = order[step * epoch.batch : (step + 1) * epoch.batch]
        return np.split(batch, self.recipe.shards)

    def _prefetch(self, images: Images, parts: list[Indices]) -> None:
        """Begin to decode this process's part of a batch, for the student and its teacher."""
        indices = np.concatenate([parts[shard] for shard in self.mine])
        images.prefetch(indices)
        if self.teacher is not None:
            images.split.prefetch(indices, self.teacher.preprocessing)

    def _batch(
        self, images: Images, indices: Indices, epoch: Epoch, draws: tuple[int, int]
    ) -> Batch:
        """The images of one shard, as they are seen once.

        Args:
            images: at the epoch's resolution.
            indices: of the shard.
            draws: (step, shard), which with seed and epoch decide the augmentation.
        """
        rng = np.random.default_rng([self.recipe.seed, epoch.number, *draws])
        size = epoch.height, epoch.width
        changes = draw(len(indices), size, self.recipe, rng, epoch.strength)
        inputs = images.tensor(augment(images.pixels(indices), changes))
        targets = torch.from_numpy(images.targets[indices]).to(self.world.device)
        if self.teacher is None:
            return Batch(inputs, targets)
        taught = self.teacher.logits(images.split, indices, changes, self.world.device)
        return Batch(inputs, targets, taught)

    def _total(self, loss: float, gradient: Tensor) -> tuple[float, Tensor]:
        """Loss and gradient of the whole batch, from this process's part of them."""
        if self.world.size == 1:
            return loss, gradient
        losses = torch.tensor(loss, dtype=torch.float64, device=self.world.device)
        return float(self.world.total(losses)), self.world.total(gradient)

    def averaged(self, epoch: Epoch, order: Indices) -> tuple[dict[str, Tensor], Evaluation]:
        """The averaged weights as a state dict, and how they do on the validation images.

        Args:
            epoch: for the resolution.
            order: training images, the first of which BatchNorm's statistics are taken from.
        """
        weights, network = self.at.weights, self.network
        trained = weights.values.clone()
        weights.values.copy_(weights.average)
        parts = np.array_split(order[:_CALIBRATION_IMAGES], self.recipe.shards)
        mine = parts[self.mine.start : self.mine.stop]
        train = self._images("train", epoch)
        recalibrate(network.replicas, train, mine, self.team, self.world)
        validation = self._images("validation", epoch)
        quality = validate(network.module, validation, self.team, self.world)
        state = {k: v.to("cpu", copy=True) for k, v in network.module.state_dict().items()}
        weights.values.copy_(trained)
        training_mode(network.module)
        return state, quality

    def record(self, epoch: Epoch, quality: Evaluation, seconds: float) -> None:
        """Enter a finished epoch into the history, and move on to the next."""
        record = EpochRecord(
            epoch=epoch.number,
            height=epoch.height,
            width=epoch.width,
            learning_rate=learning_rate(self.recipe, epoch, epoch.steps - 1),
            train_loss=sum(self.at.losses) / epoch.steps,
            validation_loss=quality.loss,
            validation_top1=quality.top1,
            images=epoch.images,
            seconds=seconds,
        )
        self.at.history.append(record)
        self.at.epoch, self.at.losses, self.at.seconds = epoch.number + 1, [], 0.0

    def _images(self, split: SplitName, epoch: Epoch) -> Images:
        contract = self.preprocessing.at(epoch.height, epoch.width)
        return Images(self.splits[split], contract, self.world.device)


def _planned(dataset: Dataset, preprocessing: Preprocessing, recipe: Recipe) -> tuple[Epoch, ...]:
    train, validation = len(dataset.splits["train"]), len(dataset.splits["validation"])
    if train < recipe.shards * _MIN_SHARD or not validation:
        raise InputError(
            f"{train} training and {validation} validation images are too few to train with.",
            hint=f"Give at least {recipe.shards * _MIN_SHARD} and 1.",
        )
    return plan(recipe, train, preprocessing.height, preprocessing.width)


def _seen(epoch: Epoch, epochs: tuple[Epoch, ...], step: int) -> tuple[str, int, int]:
    """What to tell about the progress: images of the epochs that have this one's size."""
    alike = [e for e in epochs if (e.height, e.width) == (epoch.height, epoch.width)]
    before = sum(e.images for e in alike if e.number < epoch.number)
    done = before + (step + 1) * epoch.batch
    return f"train at {epoch.height}x{epoch.width}", done, sum(e.images for e in alike)


def _threads(
    module: nn.Module, preprocessing: Preprocessing, recipe: Recipe, epoch: Epoch, world: World
) -> int:
    """How many threads to compute with, where nobody said."""
    if world is not ALONE:  # measuring would tell about the neighbours, who measure too
        return max(1, cores() // world.neighbours)
    return pick_threads(
        lambda count: _seconds_per_step(module, preprocessing, recipe, epoch, count)
    )


def _seconds_per_step(
    module: nn.Module, preprocessing: Preprocessing, recipe: Recipe, epoch: Epoch, threads: int
) -> float:
    """Time of one gradient of an epoch's size, on a copy of the module and on noise."""
    network = Shards(copy.deepcopy(module), recipe)
    shape = (epoch.batch // recipe.shards, epoch.height, epoch.width, preprocessing.channels)
    noise = torch.rand(shape, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)
    batch = Batch(noise, torch.zeros(shape[0], dtype=torch.int64))
    with Team(threads, recipe.shards) as team:
        return best_time(lambda: network.gradient(team, lambda shard: batch))
