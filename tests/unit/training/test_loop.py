import signal
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from training_cases import PREPROCESSING, QUICK, assert_equal_states, dataset, network

from edgekit.errors import EdgekitError, InputError
from edgekit.training import shards
from edgekit.training.evaluate import evaluate
from edgekit.training.loop import fit
from edgekit.training.recipe import Recipe, Stage
from edgekit.training.records import Position, Trained


def train(recipe: Recipe = QUICK, **options: object) -> Trained:
    return fit(network(), dataset(), PREPROCESSING, recipe, **{"threads": 1, **options})


def test_a_small_network_learns() -> None:
    recipe = replace(QUICK, epochs=12, learning_rate=0.1, flip=False)
    trained = train(recipe)
    assert trained.history[-1].train_loss < trained.history[0].train_loss - 0.2
    assert trained.validation_top1 > 60  # chance is 25


def test_the_outcome_is_the_state_that_was_validated() -> None:
    trained = train()
    module = network(seed=5)
    module.load_state_dict(trained.state)
    result = evaluate(module, dataset().splits["validation"], PREPROCESSING)
    assert result.top1 == trained.validation_top1 == trained.history[-1].validation_top1
    assert result.loss == pytest.approx(trained.history[-1].validation_loss)
    for value in trained.state.values():
        assert value.is_contiguous()
        assert value.dtype in (torch.float32, torch.int64)


def test_the_history_says_what_each_epoch_did() -> None:
    trained = train()
    assert [record.epoch for record in trained.history] == [1, 2, 3]
    assert [record.images for record in trained.history] == [64, 64, 64]
    assert trained.images == 192
    assert trained.seconds == sum(record.seconds for record in trained.history) > 0
    assert not trained.interrupted


def test_the_module_given_stays_as_it_is() -> None:
    module, untouched = network(), network().state_dict()
    fit(module, dataset(), PREPROCESSING, replace(QUICK, epochs=1), threads=1)
    assert_equal_states(module.state_dict(), untouched)
    assert module[2].inplace
    assert all(p.grad is None for p in module.parameters())


def test_one_and_two_threads_train_the_same_weights() -> None:
    assert_equal_states(train(threads=1).state, train(threads=2).state)


def test_the_number_of_threads_is_picked_if_not_given() -> None:
    assert_equal_states(train(threads=None).state, train().state)


def test_another_seed_trains_other_weights() -> None:
    one, other = train().state, train(replace(QUICK, seed=1)).state
    assert not torch.equal(one["0.weight"], other["0.weight"])


def copy_of(position: Position) -> Position:
    weights = position.weights
    clones = {name: getattr(weights, name).clone() for name in ("values", "velocity", "average")}
    return replace(
        position,
        weights=replace(weights, **clones),
        losses=list(position.losses),
        history=list(position.history),
    )


def outline(trained: Trained) -> list[object]:
    return [replace(record, seconds=0.0) for record in trained.history]


def test_going_on_from_any_saved_position_gives_the_same_weights() -> None:
    saved: list[Position] = []
    whole = train(save=lambda position: saved.append(copy_of(position)))
    assert [position.epoch for position in saved] == [1, 2, 3]
    for position in saved:
        resumed = train(start=position)
        assert_equal_states(resumed.state, whole.state)
        assert outline(resumed) == outline(whole)


@pytest.mark.parametrize("after", [1, 3, 6])
def test_ctrl_c_stops_between_steps_and_resuming_changes_nothing(after: int) -> None:
    told: list[int] = []

    def press(what: str, done: int, total: int) -> None:
        told.append(done)
        if len(told) == after:
            signal.raise_signal(signal.SIGINT)

    saved: list[Position] = []
    handler = signal.getsignal(signal.SIGINT)
    broken = train(save=lambda position: saved.append(copy_of(position)), progress=press)
    assert signal.getsignal(signal.SIGINT) is handler
    assert broken.interrupted
    assert len(told) == after
    assert all(torch.isfinite(value).all() for value in broken.state.values())
    resumed = train(start=saved[-1])
    assert_equal_states(resumed.state, train().state)
    assert not resumed.interrupted


def test_a_second_ctrl_c_stops_at_once() -> None:
    def press_twice(what: str, done: int, total: int) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(progress=press_twice)


def test_progress_counts_the_images_of_each_resolution() -> None:
    told: list[tuple[str, int, int]] = []
    recipe = replace(QUICK, stages=(Stage(0.5, 0.2), Stage(1.0, 0.8)))
    preprocessing = PREPROCESSING.at(64, 64)
    progress = lambda *report: told.append(report)  # noqa: E731
    fit(network(), dataset(), preprocessing, recipe, threads=1, progress=progress)
    small = [(done, total) for what, done, total in told if what == "train at 32x32"]
    large = [(done, total) for what, done, total in told if what == "train at 64x64"]
    assert len(small) + len(large) == len(told)
    for part in (small, large):
        assert [done for done, _ in part] == list(range(16, part[0][1] + 1, 16))


def test_a_loss_that_is_not_finite_names_the_learning_rate() -> None:
    with pytest.raises(EdgekitError, match=r"nan.*learning rate") as caught:
        train(replace(QUICK, epochs=20, learning_rate=1e20, warmup=0.0))
    assert "1e+20" in caught.value.hint


@pytest.mark.parametrize(("images", "checks"), [(3, 12), (70, 0)])
def test_too_few_images_are_refused(images: int, checks: int) -> None:
    with pytest.raises(InputError, match="too few"):
        fit(network(), dataset(images, checks), PREPROCESSING, QUICK)


def test_images_that_fill_no_batch_are_enough() -> None:
    trained = fit(network(), dataset(9), PREPROCESSING, QUICK, threads=1)
    assert trained.history[0].images == 8
    assert np.isfinite(trained.history[-1].train_loss)


def test_a_step_that_overflows_16_bits_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = replace(QUICK, precision="16-mixed", epochs=1)
    usual = train(recipe).state
    monkeypatch.setattr(shards, "_LOSS_SCALE", 2.0**60)
    left_out = train(recipe)
    assert torch.equal(left_out.state["0.weight"], network().state_dict()["0.weight"])
    assert not torch.equal(usual["0.weight"], left_out.state["0.weight"])
    assert np.isfinite(left_out.history[0].train_loss)
