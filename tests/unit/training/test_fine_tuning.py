"""Training further from a module: what pruning needs."""

import copy
import signal
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn
from training_cases import PREPROCESSING, QUICK, assert_equal_states, dataset

from edgekit.compress.pruning.prune import prune
from edgekit.errors import UsageError
from edgekit.models import registry
from edgekit.models.module import build
from edgekit.training.checkpoint import Folder
from edgekit.training.evaluate import evaluate
from edgekit.training.recipe import Recipe, Stage
from edgekit.training.records import Trained
from edgekit.training.schedule import plan
from edgekit.training.train import TrainingStoppedError, origin, train

SPEC = registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=4)
RECIPE = Recipe(epochs=2, batch=16, stages=(Stage(1.0, 1.0),), learning_rate=0.05)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))


def narrow(seed: int = 0, ratio: float = 0.5) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return prune(build(SPEC), ratio, SPEC.input_shape).module


def run(module: nn.Module, **options: object) -> Trained:
    return train(
        SPEC, dataset(), PREPROCESSING, RECIPE, **{"module": module, "threads": 1, **options}
    )


def folder(module: nn.Module | None) -> Folder:
    return Folder.of(origin(SPEC, dataset(), PREPROCESSING, RECIPE, module))


def stop_after(count: int):
    told: list[int] = []

    def press(what: str, done: int, total: int) -> None:
        told.append(done)
        if len(told) == count:
            signal.raise_signal(signal.SIGINT)

    return press


def test_a_pruned_module_is_trained_from_its_weights_and_found_again() -> None:
    module = narrow()
    before = copy.deepcopy(module.state_dict())
    first, second = run(module), run(narrow())
    assert_equal_states(module.state_dict(), before)
    assert second.from_cache
    assert not first.from_cache
    assert_equal_states(second.state, first.state)
    narrow().load_state_dict(second.state)
    moved = [(first.state[k] - before[k]).norm() / before[k].norm() for k in weights(module)]
    assert 0 < max(moved) < 1  # independent draws are 1.4 of their norm apart


def weights(module: nn.Module) -> list[str]:
    return [name for name, value in module.named_parameters() if value.ndim == 4]


def test_what_it_starts_from_is_part_of_the_key() -> None:
    starts = [None, narrow(), narrow(seed=1), narrow(ratio=0.3)]
    assert len({folder(start).path for start in starts}) == 4
    shifted = narrow()
    shifted[1].running_mean[0] += 1e-3
    assert folder(shifted).path != folder(narrow()).path
    assert folder(narrow()).path == folder(narrow()).path


def test_a_stopped_fine_tuning_goes_on_and_ends_as_if_never_stopped() -> None:
    with pytest.raises(TrainingStoppedError, match="after 1 epoch,") as caught:
        run(narrow(), progress=stop_after(6))
    assert "--resume" in caught.value.hint
    assert "--weights" not in caught.value.hint  # they fit no architecture
    with pytest.raises(UsageError, match="no interrupted training"):
        run(narrow(seed=1), resume=True)
    resumed = run(narrow(), resume=True)
    assert_equal_states(resumed.state, run(narrow(), retrain=True).state)


def test_fine_tuning_takes_a_third_of_the_work_at_full_size() -> None:
    recipe = Recipe(seed=3)
    short = recipe.fine_tuning()
    whole, part = plan(recipe, 17_500, 128, 128), plan(short, 17_500, 128, 128)
    assert {(epoch.height, epoch.width) for epoch in part} == {(128, 128)}
    assert cost(part) == pytest.approx(cost(whole) / 3, rel=0.15)
    assert short.learning_rate == pytest.approx(recipe.learning_rate / 6)
    assert (short.seed, short.batch) == (recipe.seed, recipe.batch)


def cost(epochs: tuple) -> int:
    return sum(epoch.images * epoch.height * epoch.width for epoch in epochs)


@pytest.mark.parametrize(("epochs", "expected"), [(1, 1), (3, 1), (4, 2), (30, 10)])
def test_fine_tuning_takes_a_third_of_the_epochs(epochs: int, expected: int) -> None:
    assert Recipe(epochs=epochs).fine_tuning().epochs == expected
    assert Recipe(max_epochs=epochs).fine_tuning().max_epochs == expected


@pytest.mark.slow
def test_fine_tuning_gives_back_what_pruning_took() -> None:
    data = dataset(train=400, validation=100)
    recipe = Recipe(epochs=12, batch=16, stages=QUICK.stages, learning_rate=0.1, flip=False)
    trained = train(SPEC, data, PREPROCESSING, recipe, threads=1)
    module = build(SPEC)
    module.load_state_dict(trained.state)
    pruned = prune(module, 0.6, SPEC.input_shape).module
    cut = evaluate(pruned, data.splits["validation"], PREPROCESSING, threads=1).top1
    tuned = train(SPEC, data, PREPROCESSING, recipe.fine_tuning(), module=pruned, threads=1)
    assert trained.validation_top1 > 95
    assert cut < trained.validation_top1 - 10
    assert tuned.validation_top1 > 95
