"""Processes that train together; needs edgekit[distributed]."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from safetensors.torch import load_file
from training_cases import PREPROCESSING, QUICK, assert_equal_states, dataset, network

from edgekit.errors import MissingToolError
from edgekit.training.distributed import join
from edgekit.training.distribution import Distribution
from edgekit.training.loop import fit
from edgekit.training.world import ALONE

needs_fabric = pytest.mark.skipif(
    find_spec("lightning_fabric") is None, reason="needs edgekit[distributed]"
)
RECIPES = (
    replace(QUICK, frozen_norms=True, shards=4, learning_rate=0.05),
    replace(QUICK, shards=4),
    replace(QUICK, precision="bf16-mixed"),
    QUICK,  # is stopped
)
STEPS_BEFORE, STOP_AFTER = 3 * 12, 6  # of all recipes but the last; of the last

_TOGETHER = """
import json, os, signal, sys
from safetensors.torch import save_file
from training_cases import *
from edgekit.training.distributed import first_speaks, join
from edgekit.training.distribution import Distribution
from edgekit.training.loop import fit
from edgekit.training.recipe import Recipe

def press(what, done, total, told=[]):
    told.append(done)
    if len(told) == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGTERM)

recipes = [Recipe.from_json(recipe) for recipe in json.loads(sys.argv[1])]
with first_speaks(join(Distribution(devices=2))) as world:
    for number, recipe in enumerate(recipes):
        heard = press if world.rank == 1 else (lambda what, done, total: None)
        done = fit(network(seed=world.rank), dataset(), PREPROCESSING, recipe, world=world,
                   threads=1, progress=heard)
        if world.rank == 0:
            save_file(done.state, f"{number}.safetensors")
            with open(f"{number}.json", "w") as file:
                json.dump([done.validation_top1, done.interrupted, len(done.history)], file)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave of each recipe; in the last, a signal comes to the second one."""
    folder = tmp_path_factory.mktemp("together")
    (folder / "together.py").write_text(_TOGETHER)
    recipes = json.dumps([recipe.to_json() for recipe in RECIPES])
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "together.py", recipes, str(STEPS_BEFORE + STOP_AFTER)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_one_process_needs_no_fabric() -> None:
    assert join(Distribution()) is ALONE


def test_a_missing_fabric_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingToolError, match="lightning_fabric"):
        join(Distribution(devices=2))


@pytest.mark.slow
@needs_fabric
@pytest.mark.parametrize("number", range(len(RECIPES) - 1))
def test_two_processes_train_the_model_of_one(folder: Path, number: int) -> None:
    alone = fit(network(), dataset(), PREPROCESSING, RECIPES[number], threads=1)
    state = load_file(folder / f"{number}.safetensors")
    for key, value in alone.state.items():
        torch.testing.assert_close(state[key], value, rtol=1e-4, atol=1e-5, msg=key)
    said = json.loads((folder / f"{number}.json").read_text())
    assert said == [pytest.approx(alone.validation_top1), False, 3]
    assert not torch.equal(state["0.weight"], network().state_dict()["0.weight"])


@pytest.mark.slow
@needs_fabric
def test_a_signal_to_one_process_stops_all_between_the_same_steps(folder: Path) -> None:
    number = len(RECIPES) - 1
    _, stopped, epochs = json.loads((folder / f"{number}.json").read_text())
    assert stopped and epochs == 1, "four steps an epoch"
    told: list[int] = []

    def press(what: str, done: int, total: int) -> None:
        told.append(done)
        if len(told) == STOP_AFTER:
            signal.raise_signal(signal.SIGTERM)

    alone = fit(network(), dataset(), PREPROCESSING, QUICK, threads=1, progress=press)
    assert_equal_states(load_file(folder / f"{number}.safetensors"), alone.state)
