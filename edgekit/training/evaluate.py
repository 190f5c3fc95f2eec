"""Accuracy of a float network in torch, and the BatchNorm statistics it needs for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from edgekit.data import Split
from edgekit.errors import InputError
from edgekit.preprocessing import Preprocessing
from edgekit.training.frozen import norms, training_mode
from edgekit.training.images import CPU, Images, Indices
from edgekit.training.threads import Team, cores
from edgekit.training.world import ALONE, World

_CHUNK = 64  # images at once: the activations of more would leave the processor's cache


@dataclass(frozen=True)
class Evaluation:
    """What a network makes of a split.

    Attributes:
        images: how many.
        top1: percent of them whose class has the highest logit.
        loss: mean cross-entropy, natural logarithm.
    """

    images: int
    top1: float
    loss: float


def evaluate(
    module: nn.Module,
    split: Split,
    preprocessing: Preprocessing,
    *,
    threads: int | None = None,
    world: World = ALONE,
) -> Evaluation:
    """Run a module over a split, in evaluation mode.

    Args:
        module: float images (n, channels, height, width) -> logits (n, classes); keeps its mode.
        split: at least one image.
        preprocessing: at the network's resolution.
        threads: that compute, by default all cores.
        world: the processes that share the images.

    Raises:
        InputError: the split is empty.
    """
    if not len(split):
        raise InputError("There are no images to evaluate on.")
    threads = threads or max(1, cores() // world.neighbours)
    training = module.training
    with Team(threads, shards=threads) as team:
        images = Images(split, preprocessing, world.device)
        found = validate(module.to(world.device), images, team, world)
    module.train(training).to(CPU)
    return found


def top1_of(
    images: Images, indices: Indices, *, threads: int | None = None
) -> Callable[[nn.Module], float]:
    """A judge of modules: percent of these images that one recognises, in evaluation mode."""

    def judge(module: nn.Module) -> float:
        with Team(threads or cores(), shards=threads or cores()) as team:
            logits = predict(module, images, team, indices)
        return score(logits, images.targets[indices]).top1

    return judge


def predict(
    module: nn.Module, images: Images, team: Team, indices: Indices | None = None
) -> npt.NDArray[np.float32]:
    """Logits (n, classes) of some images, by default of all; leaves the module in evaluation mode.

    They stand in the order of the indices.
    """
    module.eval()
    indices = np.arange(len(images)) if indices is None else indices

    def logits(chunk: Indices) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            outputs: npt.NDArray[np.float32] = module(images.inputs(chunk)).cpu().numpy()
        return outputs

    return np.concatenate(team.map(logits, _chunks(indices)))


def validate(module: nn.Module, images: Images, team: Team, world: World) -> Evaluation:
    """`score` of all images, each process looking at its part of them."""
    part = np.array_split(np.arange(len(images)), world.size)[world.rank]
    mine = Evaluation(0, 0.0, 0.0)
    if len(part):
        mine = score(predict(module, images, team, part), images.targets[part])
    if world.size == 1:
        return mine
    sums = torch.tensor([1.0, mine.top1, mine.loss], dtype=torch.float64) * mine.images
    count, top1, loss = world.total(sums.to(world.device)).tolist()
    return Evaluation(int(count), top1 / count, loss / count)


def score(logits: npt.NDArray[np.float32], targets: npt.NDArray[np.int64]) -> Evaluation:
    """Accuracy and loss of logits (n, classes) against true classes (n,)."""
    loss = functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets))
    hits = int((logits.argmax(1) == targets).sum())
    return Evaluation(len(targets), 100 * hits / len(targets), float(loss))


def recalibrate(
    replicas: Sequence[nn.Module],
    images: Images,
    indices: Sequence[Indices],
    team: Team,
    world: World = ALONE,
) -> None:
    """Measure the BatchNorm statistics of the present weights anew, on images without augmentation.

    Frozen layers keep theirs.

    An average of weights has statistics of its own, which no running mean has seen (Izmailov et al.
    2018, https://arxiv.org/abs/1803.05407, section 3.2).

    Args:
        replicas: of one network; the first gets the mean of what they find.
        images: where the indices point to.
        indices: of the images each replica sees.
        team: computes the parts.
        world: the mean is over its processes, all of which have as many replicas.
    """
    if not norms(replicas[0]):
        return
    found = team.map(lambda i: _statistics(replicas[i], images, indices[i]), range(len(replicas)))
    for layer, *statistics in zip(norms(replicas[0]), *found, strict=True):
        means, variances = zip(*statistics, strict=True)
        layer.running_mean.copy_(world.total(torch.stack(means).mean(0)) / world.size)
        layer.running_var.copy_(world.total(torch.stack(variances).mean(0)) / world.size)


def _statistics(
    module: nn.Module, images: Images, indices: Indices
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Mean and variance of each BatchNorm layer, averaged over chunks of the images."""
    layers = norms(module)
    training_mode(module)
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over the calls
    with torch.no_grad():
        for chunk in _chunks(indices):
            module(images.inputs(chunk))
    return [(layer.running_mean, layer.running_var) for layer in layers]


def _chunks(indices: Indices) -> list[Indices]:
    """Nearly equal parts: a last chunk of one image would have no variance."""
    return np.array_split(indices, -(-len(indices) // _CHUNK))
