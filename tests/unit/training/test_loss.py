from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch.nn import functional

from edgekit.training.loss import Batch, loss
from edgekit.training.recipe import Distillation, Recipe

RECIPE = Recipe(label_smoothing=0.1)
TARGETS = torch.tensor([0, 2, 1])


def logits(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


def batch(taught: torch.Tensor | None) -> Batch:
    return Batch(torch.zeros(3, 3, 2, 2), TARGETS, taught)


def taught_by(weight: float, temperature: float = 4.0) -> Recipe:
    return replace(RECIPE, distillation=Distillation(temperature, weight, {"sha256": "0"}))


def test_without_a_teacher_it_is_the_cross_entropy() -> None:
    expected = functional.cross_entropy(logits(0), TARGETS, label_smoothing=0.1)
    assert torch.equal(loss(logits(0), batch(None), RECIPE), expected)


@pytest.mark.parametrize(("weight", "temperature"), [(0.9, 4.0), (0.3, 1.0), (1.0, 20.0)])
def test_with_a_teacher_it_is_hintons(weight: float, temperature: float) -> None:
    """Against the sums written out."""
    student, teacher = logits(0).double(), logits(1).double()
    p = (teacher / temperature).softmax(1)
    q = (student / temperature).softmax(1)
    divergence = (p * (p / q).log()).sum(1).mean()
    hard = functional.cross_entropy(student, TARGETS, label_smoothing=0.1)
    expected = (1 - weight) * hard + weight * temperature**2 * divergence
    found = loss(logits(0), batch(logits(1)), taught_by(weight, temperature))
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_a_student_that_answers_like_its_teacher_has_nothing_to_learn_from_it() -> None:
    student = logits(0).requires_grad_()
    found = loss(student, batch(logits(0)), taught_by(1.0))
    found.backward()
    assert float(found.detach()) == pytest.approx(0, abs=1e-6)
    assert student.grad is not None and student.grad.abs().max() < 1e-6
