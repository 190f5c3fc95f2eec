"""Each network against the implementation it follows; tests/published/README.md says how."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from published import seeded
from torch import nn

from edgekit.models.cost import cost
from edgekit.models.module import build
from edgekit.models.registry import names, resolve
from edgekit.models.spec import ModelSpec

FOLDER = Path(__file__).parents[2] / "published"
GOLDEN: dict[str, dict[str, Any]] = {
    name: entry
    for path in sorted(FOLDER.glob("*.json"))
    for name, entry in json.loads(path.read_text()).items()
}
# Designs that no other implementation has.
WITHOUT_REFERENCE: set[str] = set()
FAST_PARAMETERS = 3_000_000  # drawing and running them takes a quarter of a second


def spec_of(name: str) -> ModelSpec:
    arch, _, alpha = name.partition(" ")
    return resolve(arch, float(alpha or 1), padding="torch")


def built(name: str) -> nn.Module:
    """Without numbers: they would be drawn only to be replaced."""
    with torch.device("meta"):
        return build(spec_of(name)).eval()


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def marked(name: str) -> Any:
    large = GOLDEN[name]["parameters"] > FAST_PARAMETERS
    return pytest.param(name, marks=pytest.mark.slow if large else ())


def test_every_architecture_has_a_reference() -> None:
    assert {name.partition(" ")[0] for name in GOLDEN} == set(names()) - WITHOUT_REFERENCE


@pytest.mark.parametrize("name", GOLDEN)
def test_names_shapes_and_parameters_are_the_references(name: str) -> None:
    assert cost(spec_of(name)).params == GOLDEN[name]["parameters"]
    assert seeded.keys_sha256(shapes_of(built(name))) == GOLDEN[name]["keys_sha256"]


@pytest.mark.parametrize("name", [marked(name) for name in GOLDEN])
def test_logits_are_the_references(name: str) -> None:
    module, golden = built(name), GOLDEN[name]
    state = seeded.weights(shapes_of(module))
    module.load_state_dict({k: torch.as_tensor(v) for k, v in state.items()}, assign=True)
    with torch.no_grad():
        logits = module(torch.from_numpy(seeded.images(golden["resolution"]))).numpy()
    largest = np.abs(logits).max()
    expected = np.array(golden["logits"], np.float32)
    np.testing.assert_allclose(logits[:, : seeded.LOGITS], expected, rtol=0, atol=1e-4 * largest)
