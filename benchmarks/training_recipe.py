"""Trains MobileNetV1 0.25 at 128x128 on the embedded set, without the cache; JSON on stdout.

For judging changes to the recipe: accuracy is that of the validation split. `--test` measures the
test split too, which is for the final figure alone: a recipe chosen by it would flatter itself.

    python benchmarks/training_recipe.py --threads 2 weight_decay=5e-4 work=55000
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from typing import Any

import torch

from edgekit import data
from edgekit.models import registry
from edgekit.models.module import build
from edgekit.training.evaluate import evaluate
from edgekit.training.loop import fit
from edgekit.training.recipe import Recipe


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int)
    parser.add_argument("--test", action="store_true")
    parser.add_argument("changes", nargs="*", help="field=JSON value of the recipe")
    arguments = parser.parse_args()
    changes = dict(change.split("=", 1) for change in arguments.changes)
    default = Recipe()
    recipe = replace(default, **{name: json.loads(value) for name, value in changes.items()})
    print(json.dumps(measure(recipe, arguments.threads, test=arguments.test), indent=2))


def measure(recipe: Recipe, threads: int | None, *, test: bool) -> dict[str, Any]:
    dataset = data.load(None)
    spec = registry.resolve("mobilenet_v1", alpha=0.25, rho=0.571, classes=10)
    contract = dataset.preprocessing(spec.resolution, spec.resolution)
    torch.manual_seed(recipe.seed)
    module = build(spec)
    began = time.perf_counter()
    trained = fit(module, dataset, contract, recipe, threads=threads)
    seconds = time.perf_counter() - began
    result = {
        "recipe": recipe.to_json(),
        "seconds": round(seconds, 1),
        "images": trained.images,
        "validation_top1": trained.validation_top1,
        "history": [asdict(record) for record in trained.history],
    }
    if test:
        module.load_state_dict(trained.state)
        result["test"] = asdict(evaluate(module, dataset.splits["test"], contract, threads=threads))
    return result


if __name__ == "__main__":
    main()
