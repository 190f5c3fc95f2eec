import json
import subprocess
import sys

import pytest

from edgekit.errors import UsageError
from edgekit.training.recipe import Recipe, Stage


def test_json_and_back_is_the_same_recipe() -> None:
    recipe = Recipe(epochs=7, stages=(Stage(0.25, 0.1), Stage(1.0, 0.9)), seed=3)
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
    ],
)
def test_senseless_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=r"recipe|batch"):
        Recipe(**{field: value})


def test_a_recipe_and_its_schedule_need_no_torch() -> None:
    code = "import edgekit.training.schedule, sys; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
