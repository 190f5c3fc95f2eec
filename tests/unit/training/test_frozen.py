"""Training the classifier alone, and BatchNorm statistics for weights that came without."""

import copy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn
from training_cases import PREPROCESSING, assert_equal_states, dataset, network

from edgekit.training.batch_statistics import restore_statistics
from edgekit.training.frozen import freeze_backbone, norms, trained, training_mode
from edgekit.training.images import Images
from edgekit.training.loop import fit
from edgekit.training.recipe import Recipe, Stage

RECIPE = Recipe(epochs=2, batch=16, stages=(Stage(1.0, 1.0),), learning_rate=0.05)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))


def pretrained() -> nn.Module:
    """A network whose statistics are not those of its input, as another data set's would be."""
    module = network()
    drawn = torch.Generator().manual_seed(0)
    for layer in norms(module):
        layer.running_mean.uniform_(-0.1, 0.1, generator=drawn)
        layer.running_var.uniform_(0.5, 2, generator=drawn)
    return module


def test_freezing_leaves_the_last_layer_and_its_mode() -> None:
    module = pretrained()
    freeze_backbone(module)
    assert [tuple(parameter.shape) for parameter in trained(module)] == [(4, 32), (4,)]
    assert norms(module) == []
    assert len(norms(module, frozen=True)) == 2
    training_mode(module)
    assert module.training and not any(layer.training for layer in norms(module, frozen=True))


def test_a_frozen_backbone_stays_bit_for_bit_while_the_classifier_learns() -> None:
    module = pretrained()
    before = copy.deepcopy(module.state_dict())
    frozen = fit(module, dataset(), PREPROCESSING, RECIPE.transfer(True), threads=1)
    *backbone, weight, bias = before
    assert_equal_states({k: frozen.state[k] for k in backbone}, {k: before[k] for k in backbone})
    assert not torch.equal(frozen.state[weight], before[weight])
    assert not torch.equal(frozen.state[bias], before[bias])
    assert_equal_states(module.state_dict(), before)


def test_without_freezing_everything_learns() -> None:
    module = pretrained()
    before = copy.deepcopy(module.state_dict())
    tuned = fit(module, dataset(), PREPROCESSING, RECIPE.transfer(False), threads=1)
    assert all(
        not torch.equal(tuned.state[key], before[key])
        for key in before
        if not key.endswith("num_batches_tracked")
    )


def test_transfer_trains_for_the_epochs_asked_for() -> None:
    recipe = Recipe(epochs=5, seed=3).transfer(True)
    assert (recipe.epochs, recipe.seed, recipe.freeze_backbone) == (5, 3, True)
    assert recipe.learning_rate == Recipe().fine_tuning().learning_rate
    assert not Recipe().transfer(False).freeze_backbone
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_restored_statistics_are_the_inputs_and_change_no_output() -> None:
    module = pretrained()
    images = Images(dataset().splits["train"], PREPROCESSING)
    inputs = images.inputs(np.arange(len(images)))
    with torch.no_grad():
        before = module.eval()(inputs)
        restore_statistics(module, images, seed=0)
        after = module(inputs)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    seen = []
    hook = module[1].register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    with torch.no_grad():
        module(inputs)
    hook.remove()
    torch.testing.assert_close(
        module[1].running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5
    )
    variance = seen[0].var((0, 2, 3), unbiased=False)
    torch.testing.assert_close(module[1].running_var, variance, rtol=1e-3, atol=1e-5)


def test_in_training_mode_a_restored_network_computes_nearly_what_it_did() -> None:
    plain, restored = pretrained(), pretrained()
    images = Images(dataset().splits["train"], PREPROCESSING)
    restore_statistics(restored, images, seed=0)
    inputs = images.inputs(np.arange(len(images)))
    with torch.no_grad():
        expected = plain.eval()(inputs)
        off = (plain.train()(inputs) - expected).norm()
        assert (restored.train()(inputs) - expected).norm() < 0.05 * off
