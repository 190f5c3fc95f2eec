import signal
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from training_cases import PREPROCESSING, QUICK, assert_equal_states, dataset

from edgekit.errors import InputError, UsageError
from edgekit.models import registry
from edgekit.models.checkpoints import load_weights
from edgekit.models.module import build
from edgekit.models.spec import ModelSpec
from edgekit.training.checkpoint import Folder
from edgekit.training.recipe import Recipe
from edgekit.training.records import Trained
from edgekit.training.train import TrainingStoppedError, origin, train

RECIPE = replace(QUICK, epochs=2)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))


def spec(classes: int = 4) -> ModelSpec:
    return registry.resolve("mobilenet_v1", alpha=0.25, resolution=32, classes=classes)


def run(recipe: Recipe = RECIPE, **options: object) -> Trained:
    return train(spec(), dataset(), PREPROCESSING, recipe, **{"threads": 1, **options})


def folder(recipe: Recipe = RECIPE) -> Folder:
    return Folder.of(origin(spec(), dataset(), PREPROCESSING, recipe))


def stop_after(count: int, number: int = signal.SIGINT):
    told: list[int] = []

    def press(what: str, done: int, total: int) -> None:
        told.append(done)
        if len(told) == count:
            signal.raise_signal(number)

    return press


def test_the_weights_load_and_the_second_training_comes_from_the_cache() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = run()
    assert torch.equal(torch.random.get_rng_state(), before)
    build(spec()).load_state_dict(first.state)
    second = run()
    assert second.from_cache
    assert not first.from_cache
    assert second.history == first.history
    assert_equal_states(second.state, first.state)


def test_what_changes_the_outcome_changes_the_folder() -> None:
    changed = [
        origin(spec(), dataset(), PREPROCESSING, replace(RECIPE, seed=1)),
        origin(spec(), dataset(seed=1), PREPROCESSING, RECIPE),
        origin(spec(), dataset(), PREPROCESSING.at(64, 64), RECIPE),
        origin(spec(5), dataset(), PREPROCESSING, RECIPE),
    ]
    folders = {Folder.of(one).path for one in changed}
    assert len(folders | {folder().path}) == 5


def test_retraining_ignores_the_cache_and_is_repeatable() -> None:
    first = run()
    again = run(retrain=True)
    assert not again.from_cache
    assert_equal_states(again.state, first.state)


def test_a_damaged_cache_is_trained_again_with_a_notice() -> None:
    first = run()
    next(folder().path.glob("weights-*")).write_bytes(b"")
    notices: list[str] = []
    again = run(notice=notices.append)
    assert not again.from_cache
    assert_equal_states(again.state, first.state)
    assert len(notices) == 1
    assert "damaged" in notices[0]
    assert run().from_cache


def test_a_stopped_training_says_how_to_go_on_and_goes_on() -> None:
    with pytest.raises(TrainingStoppedError, match="after 1 epochs") as caught:
        run(progress=stop_after(6))
    assert "--resume" in caught.value.hint
    assert str(folder().interrupted) in caught.value.hint
    load_weights(build(spec()), folder().interrupted)
    resumed = run(resume=True)
    assert not folder().interrupted.exists()
    assert_equal_states(resumed.state, run(retrain=True).state)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_tells_the_signal(number: int, code: int) -> None:
    with pytest.raises(TrainingStoppedError) as caught:
        run(progress=stop_after(2, number))
    assert caught.value.exit_code == code


def test_a_stop_that_comes_after_the_last_step_loses_nothing() -> None:
    steps: list[int] = []
    first = run(progress=lambda what, done, total: steps.append(done))
    with pytest.raises(TrainingStoppedError, match="just ended"):
        run(progress=stop_after(len(steps)), retrain=True)
    again = run()
    assert again.from_cache
    assert_equal_states(again.state, first.state)


def test_without_resume_a_stopped_training_starts_anew() -> None:
    with pytest.raises(TrainingStoppedError):
        run(progress=stop_after(6))
    images: list[int] = []
    run(progress=lambda what, done, total: images.append(done))
    assert images[0] == RECIPE.batch


def test_nothing_to_resume_is_said() -> None:
    with pytest.raises(UsageError, match="no interrupted training"):
        run(resume=True)


def test_a_damaged_position_is_refused() -> None:
    with pytest.raises(TrainingStoppedError):
        run(progress=stop_after(6))
    folder().position.write_bytes(b"")
    with pytest.raises(InputError, match="damaged"):
        run(resume=True)


def test_resuming_and_retraining_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="either"):
        run(resume=True, retrain=True)


def test_the_model_has_the_classes_of_the_data() -> None:
    with pytest.raises(UsageError, match="5 classes"):
        train(spec(5), dataset(), PREPROCESSING, RECIPE)
