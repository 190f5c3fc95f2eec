"""What pruning MobileNetV1 costs in accuracy on the embedded set; JSON on stdout.

The network is trained (or found in the cache), pruned, fine-tuned and quantized. Float accuracy is
torch's, int8 accuracy that of edgekit's exact arithmetic, both top-1 on all 10,000 test images.

    python benchmarks/pruning.py --threads 1 0.3 0.5
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
from torch import nn

from edgekit import data
from edgekit.compress.align_input import align_input
from edgekit.compress.calibrate import calibrate
from edgekit.compress.pruning.prune import prune
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, torch_onnx
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.models import registry
from edgekit.models.module import build
from edgekit.training.evaluate import evaluate
from edgekit.training.recipe import Recipe
from edgekit.training.train import train

CHUNK = 16  # images at once


class Bench:
    """One trained network and the data it is judged on."""

    def __init__(self, alpha: float, resolution: int, seed: int, threads: int | None) -> None:
        self.dataset = data.load(None)
        self.threads, self.recipe = threads, Recipe(seed=seed)
        self.spec = registry.resolve(
            "mobilenet_v1", alpha, resolution=resolution, classes=len(self.dataset.labels)
        )
        self.contract = self.dataset.preprocessing(resolution, resolution)
        self.module = build(self.spec)
        trained = train(self.spec, self.dataset, self.contract, self.recipe, threads=threads)
        self.module.load_state_dict(trained.state)
        self.training_seconds = trained.seconds

    def whole(self) -> dict[str, Any]:
        return {"training_seconds": round(self.training_seconds, 1), **self.judged(self.module)}

    def pruned(self, ratio: float) -> dict[str, Any]:
        began = time.perf_counter()
        pruned = prune(self.module, ratio, self.spec.input_shape)
        seconds = time.perf_counter() - began
        raw = self.top1(pruned.module)
        recipe = self.recipe.fine_tuning()
        tuned = train(
            self.spec,
            self.dataset,
            self.contract,
            recipe,
            module=pruned.module,
            threads=self.threads,
        )
        pruned.module.load_state_dict(tuned.state)
        return {
            "ratio": ratio,
            "reached": round(pruned.reached, 4),
            "pruning_seconds": round(seconds, 2),
            "fine_tuning_seconds": round(tuned.seconds, 1),
            "fine_tuning_epochs": len(tuned.history),
            "top1_before_fine_tuning": raw,
            **self.judged(pruned.module),
        }

    def judged(self, module: nn.Module) -> dict[str, Any]:
        graph = onnx_graph.read(torch_onnx.export(module, self.spec.input_shape))
        return {
            "parameters": sum(parameter.numel() for parameter in module.parameters()),
            "macs": graph_cost(graph).macs,
            "top1": self.top1(module),
            "top1_int8": self.integer_top1(graph),
        }

    def top1(self, module: nn.Module) -> float:
        test = self.dataset.splits["test"]
        return evaluate(module, test, self.contract, threads=self.threads).top1

    def integer_top1(self, float_graph: Any) -> float:
        graph, contract = align_input(float_graph, self.contract)
        split = self.dataset.splits["calibration"]
        samples = data.calibration_recipe(split, 200, self.recipe.seed)
        pictures = contract.normalize(split.pixels(samples.indices, contract))
        graph = quantize(graph, calibrate(graph, [pictures]))
        source = graph.tensors[graph.inputs[0]].quantization
        assert source is not None
        deployed = contract.quantized(source.scale, source.zero_point)
        test, hits = self.dataset.splits["test"], 0
        for start in range(0, len(test), CHUNK):
            indices = np.arange(start, min(start + CHUNK, len(test)))
            (scores,) = run(graph, [deployed.quantize(test.pixels(indices, deployed))])
            hits += int((scores.argmax(1) == test.targets[indices]).sum())
        return 100 * hits / len(test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alpha", type=float, default=0.25)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("ratios", nargs="*", type=float)
    arguments = parser.parse_args()
    bench = Bench(arguments.alpha, arguments.resolution, arguments.seed, arguments.threads)
    results = {"whole": bench.whole(), "pruned": [bench.pruned(r) for r in arguments.ratios]}
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
