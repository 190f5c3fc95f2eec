import copy

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn
from torch.nn import functional
from training_cases import CLASSES, network

from edgekit.training.loss import Batch
from edgekit.training.recipe import Recipe
from edgekit.training.shards import Shards
from edgekit.training.threads import Team

RECIPE = Recipe(label_smoothing=0.2)


def batch(shard: int) -> Batch:
    images = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(shard))
    return Batch(images, torch.arange(5) % CLASSES)


def test_the_gradient_is_the_mean_over_shards_normalized_apart() -> None:
    plain = network()
    losses = []
    for shard in range(2):
        images, targets, _ = batch(shard)
        loss = functional.cross_entropy(plain(images), targets, label_smoothing=0.2)
        losses.append(loss.item())
        (loss / 2).backward()
    expected = torch.cat([p.grad.reshape(-1) for p in plain.parameters()])
    with Team(2, 2) as team:
        loss, gradient = Shards(network(), RECIPE).gradient(team, batch)
    assert loss == pytest.approx(sum(losses) / 2)
    torch.testing.assert_close(gradient, expected)


def test_gradients_do_not_pile_up_and_do_not_depend_on_the_threads() -> None:
    found = []
    for threads in (1, 2):
        shards = Shards(network(), RECIPE)
        with Team(threads, 2) as team:
            shards.gradient(team, batch)
            found.append(shards.gradient(team, batch)[1].clone())
    assert torch.equal(*found)


def test_dropout_is_switched_off_and_clamps_keep_their_input() -> None:
    module = nn.Sequential(copy.deepcopy(network()), nn.Dropout(0.5))
    Shards(module, RECIPE)
    assert module[1].p == 0
    assert not module[0][2].inplace
