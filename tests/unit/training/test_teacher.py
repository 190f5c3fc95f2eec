from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn
from training_cases import CLASSES, PREPROCESSING, QUICK, assert_equal_states, dataset, network

from edgekit.errors import UsageError
from edgekit.training.augment import draw
from edgekit.training.images import CPU, Images
from edgekit.training.loop import fit
from edgekit.training.recipe import Distillation
from edgekit.training.teacher import Teacher

TAUGHT = replace(QUICK, distillation=Distillation(2.0, 0.5, {"sha256": "0"}))
PLAIN = replace(QUICK, flip=False, shift=0.0)


class Seen(nn.Module):
    """Remembers its inputs; says class 1."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[torch.Tensor] = []
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert not self.training and not torch.is_grad_enabled()
        self.inputs.append(images)
        return self.weight * torch.eye(CLASSES)[torch.ones(len(images), dtype=torch.int64)]


def test_it_sees_the_source_pictures_in_its_own_preprocessing() -> None:
    own = replace(PREPROCESSING.at(64, 64), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    seen, split = Seen(), dataset().splits["train"]
    chosen = np.array([3, 1])
    changes = draw(2, (32, 32), PLAIN, np.random.default_rng(0))
    answers = Teacher(seen, own).on(CPU).logits(split, chosen, changes, CPU)
    assert torch.equal(seen.inputs[0], Images(split, own).inputs(chosen))
    assert answers.argmax(1).tolist() == [1, 1]
    assert not answers.requires_grad


def test_it_sees_what_its_student_sees_mirrored_too() -> None:
    seen, split = Seen(), dataset().splits["train"]
    chosen = np.arange(16)
    changes = draw(16, (32, 32), replace(PLAIN, flip=True), np.random.default_rng(0))
    Teacher(seen, PREPROCESSING.at(64, 64)).on(CPU).logits(split, chosen, changes, CPU)
    plain = Images(split, PREPROCESSING.at(64, 64)).inputs(chosen)
    for i, mirrored in enumerate(changes.mirrored):
        assert torch.equal(seen.inputs[0][i], plain[i].flip(2) if mirrored else plain[i])
    assert changes.mirrored.any() and not changes.mirrored.all()


def test_a_student_moves_towards_its_teacher() -> None:
    recipe = replace(TAUGHT, epochs=6, distillation=Distillation(1.0, 1.0, {}))
    trained = fit(
        network(),
        dataset(),
        PREPROCESSING,
        recipe,
        threads=1,
        teacher=Teacher(Seen(), PREPROCESSING),
    )
    student = network()
    student.load_state_dict(trained.state)
    inputs = Images(dataset().splits["test"], PREPROCESSING).inputs(np.arange(12))
    before, after = (m.eval()(inputs).softmax(1)[:, 1].mean() for m in (network(), student))
    assert after > before + 0.02  # the teacher says 0.475 for class 1, whatever it sees


def test_threads_and_repetition_change_nothing_and_the_teacher_stays_as_it_is() -> None:
    master = network(seed=7)
    before = {key: value.clone() for key, value in master.state_dict().items()}
    states = [
        fit(
            network(),
            dataset(),
            PREPROCESSING,
            TAUGHT,
            threads=threads,
            teacher=Teacher(master, PREPROCESSING.at(64, 64)),
        ).state
        for threads in (1, 2)
    ]
    assert_equal_states(*states)
    assert_equal_states(dict(master.state_dict()), before)
    alone = fit(network(), dataset(), PREPROCESSING, QUICK, threads=1).state
    assert not torch.equal(alone["0.weight"], states[0]["0.weight"])


def test_a_teacher_and_a_distillation_come_together() -> None:
    with pytest.raises(UsageError, match="together"):
        fit(network(), dataset(), PREPROCESSING, TAUGHT)
    with pytest.raises(UsageError, match="together"):
        fit(network(), dataset(), PREPROCESSING, QUICK, teacher=Teacher(Seen(), PREPROCESSING))
