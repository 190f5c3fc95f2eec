"""Trainings that take seconds: that learning happens, and that a killed one goes on."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

from training_cases import PREPROCESSING, QUICK, assert_equal_states, dataset

from edgekit import data
from edgekit.data import Dataset
from edgekit.models import registry
from edgekit.models.module import build
from edgekit.training.evaluate import evaluate
from edgekit.training.recipe import Recipe, Stage
from edgekit.training.train import train

_KILLED = """
import os, signal
from training_cases import *
from edgekit.models import registry
from edgekit.training.train import train

def kill(what, done, total, told=[]):
    told.append(done)
    if len(told) == 10:
        os.kill(os.getpid(), signal.SIGKILL)

spec = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=CLASSES)
train(spec, dataset(), PREPROCESSING, QUICK, threads=1, progress=kill)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_from_its_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    killed = subprocess.run([sys.executable, "-c", _KILLED], cwd=Path(__file__).parent)
    assert killed.returncode == -signal.SIGKILL
    spec = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=4)
    steps: list[int] = []

    def run(**options: bool) -> dict[str, object]:
        progress = lambda what, done, total: steps.append(done)  # noqa: E731
        return train(
            spec, dataset(), PREPROCESSING, QUICK, threads=1, progress=progress, **options
        ).state

    resumed = run(resume=True)
    assert len(steps) == 4  # 3 epochs of 4 steps; the first 2 were kept
    assert_equal_states(resumed, run(retrain=True))


@pytest.mark.slow
def test_a_network_learns_to_tell_clothes_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))
    whole = data.load(None)
    spec = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=10)
    preprocessing = whole.preprocessing(32, 32)
    recipe = Recipe(epochs=2, stages=(Stage(1.0, 1.0),))
    trained = train(spec, whole, preprocessing, recipe)
    assert trained.history[1].train_loss < trained.history[0].train_loss - 0.2
    module = build(spec)
    module.load_state_dict(trained.state)
    assert evaluate(module, first(whole, "test", 2000), preprocessing).top1 > 75  # chance is 10
    assert trained.validation_top1 > 75


def first(whole: Dataset, split: str, count: int):
    """The first pictures of a split."""

    class Part:
        targets = whole.splits[split].targets[:count]

        def __len__(self) -> int:
            return count

        def pixels(self, indices: np.ndarray, preprocessing: object) -> np.ndarray:
            return whole.splits[split].pixels(indices, preprocessing)

    return Part()
