import json
import subprocess
import sys

import pytest

from edgekit.errors import UsageError
from edgekit.training.recipe import Distillation, Recipe, Stage


def test_json_and_back_is_the_same_recipe() -> None:
    taught = Distillation(2.0, 0.5, {"model": {"arch": "mobilenet_v1"}, "sha256": "ab"})
    recipe = Recipe(
        epochs=7, stages=(Stage(0.25, 0.1, 0.5), Stage(1.0, 0.9)), seed=3, distillation=taught
    )
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("work", 0),
        ("max_epochs", 0),
        ("shards", 0),
        ("batch", 1),
        ("learning_rate", 0.0),
        ("weight_decay", -1e-4),
        ("warmup", 1.0),
        ("momentum", -0.1),
        ("label_smoothing", 1.0),
        ("average_decay", 1.0),
        ("shift", 1.0),
        ("erase", -0.5),
        ("seed", -1),
        ("seed", 2**63),
        ("epochs", 10**9),
        ("stages", ()),
        ("stages", (Stage(0.5, 1.0),)),
        ("stages", (Stage(1.0, 0.5), Stage(0.5, 0.5), Stage(1.0, 0.5))),
        ("stages", (Stage(0.0, 0.5), Stage(1.0, 0.5))),
        ("stages", (Stage(0.5, 0.0), Stage(1.0, 1.0))),
        ("stages", (Stage(1.0, 1.0, -0.1),)),
        ("stages", (Stage(1.0, 1.0, float("nan")),)),
        ("stages", (Stage(1.0, 1.0, 28.0),)),  # 1/28 of the side is the usual shift
    ],
)
def test_senseless_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=r"recipe|batch"):
        Recipe(**{field: value})


def test_a_usual_strength_does_not_change_the_cache_key() -> None:
    assert Recipe().to_json()["stages"][0] == {"scale": 0.25, "share": 0.03}


def test_an_unknown_precision_names_near_ones() -> None:
    with pytest.raises(UsageError, match="bf16") as caught:
        Recipe(precision="bf16")
    assert "bf16-mixed" in caught.value.hint


@pytest.mark.parametrize(
    ("temperature", "weight"),
    [(0.5, 0.5), (float("inf"), 0.5), (float("nan"), 0.5), (2.0, 0.0), (2.0, 1.1)],
)
def test_senseless_distillations_are_refused(temperature: float, weight: float) -> None:
    with pytest.raises(UsageError, match="distillation"):
        Distillation(temperature, weight, {})


def test_a_recipe_and_its_schedule_need_no_torch() -> None:
    code = "import edgekit.training.schedule, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
