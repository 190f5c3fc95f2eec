import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch

from edgekit.training.optimizer import Weights, update
from edgekit.training.recipe import Recipe


def test_steps_equal_those_of_torch() -> None:
    recipe = Recipe(momentum=0.8, weight_decay=0.01)
    start = torch.randn(10, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.Parameter(start.clone())
    sgd = torch.optim.SGD([theirs], lr=0.1, momentum=0.8, nesterov=True, weight_decay=0.01)
    ours = Weights.start(start.clone())
    for step in range(5):
        gradient = torch.randn(10, generator=torch.Generator().manual_seed(step + 1))
        theirs.grad = gradient.clone()
        sgd.step()
        update(ours, gradient, torch.ones(10), 0.1, recipe)
    torch.testing.assert_close(ours.values, theirs.detach())


def test_decay_acts_only_where_it_should() -> None:
    weights = Weights.start(torch.ones(2))
    recipe = Recipe(momentum=0.0, weight_decay=0.5)
    update(weights, torch.zeros(2), torch.tensor([1.0, 0.0]), 0.1, recipe)
    torch.testing.assert_close(weights.values, torch.tensor([0.95, 1.0]))


def test_the_average_forgets_the_beginning_quickly_and_then_slowly() -> None:
    weights = Weights.start(torch.zeros(1))
    recipe = Recipe(momentum=0.0, weight_decay=0.0, average_decay=0.9)
    expected = 0.0
    for count in range(1, 120):
        update(weights, torch.full((1,), -1.0), torch.zeros(1), 1.0, recipe)
        keep = min(0.9, count / (count + 9))
        expected = keep * expected + (1 - keep) * count
    assert weights.average.item() == pytest.approx(expected)
    assert 105 < expected < 115  # ten steps behind
    assert weights.averaged == 119
