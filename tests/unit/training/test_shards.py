import copy
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn
from torch.nn import functional
from training_cases import CLASSES, network

from edgekit.training.loss import Batch
from edgekit.training.recipe import Precision, Recipe
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


def gradients(recipe: Recipe, numbers: range | None = None) -> tuple[float, torch.Tensor]:
    with Team(1, recipe.shards) as team:
        return Shards(network(), recipe, numbers).gradient(team, batch)


def test_parts_of_the_shards_add_up_to_the_whole() -> None:
    recipe = replace(RECIPE, shards=4)
    loss, whole = gradients(recipe)
    parts = [gradients(recipe, range(0, 3)), gradients(recipe, range(3, 4))]
    assert sum(part[0] for part in parts) == pytest.approx(loss)
    torch.testing.assert_close(parts[0][1] + parts[1][1], whole)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_gradients_in_16_bits_are_near_those_in_32(precision: Precision) -> None:
    loss, exact = gradients(RECIPE)
    near_loss, near = gradients(replace(RECIPE, precision=precision))
    assert near.dtype == torch.float32
    assert near_loss == pytest.approx(loss, rel=0.02)
    error = (near - exact).norm() / exact.norm()
    assert 0 < error < 0.1


def test_frozen_norms_are_not_trained_and_normalize_as_deployed() -> None:
    shards = Shards(network(), replace(RECIPE, frozen_norms=True))
    norm = shards.module[1]
    assert len(shards.values) == sum(
        p.numel() for i in (0, 3, 8) for p in network()[i].parameters()
    )
    before = norm.running_mean.clone()
    with Team(1, 2) as team:
        shards.gradient(team, batch)
    assert torch.equal(norm.running_mean, before) and not norm.training
