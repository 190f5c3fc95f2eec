"""What the repair ladder reaches on an ImageNet network and crops of photographs; JSON on stdout.

The network calibrates on crops of one folder's photographs. Rungs are judged on crops of every
fourth photograph of the other folder; the figures are of all others there, whose crops no choice
has seen. Standard errors take crops of one photograph for one observation.

    python benchmarks/repair_photographs.py lite0.onnx calibration/ test/ --mean 127 --std 128
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekit.compress.calibrate import calibrate
from edgekit.compress.ladder import chosen, climb
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Bench, Quantized, to_input, to_reals
from edgekit.compress.repairs import LADDER
from edgekit.convert import onnx_graph
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.scores import before_softmax
from edgekit.report.judge import Held, Judge

TOGETHER = 16
JUDGES_EVERY = 4  # of the test folder's photographs, to judge rungs with


def crops(folder: Path, side: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 crops (n, side, side, 3) of all photographs, and the photograph of each."""
    random, found, owners = np.random.default_rng(seed), [], []
    for owner, path in enumerate(sorted(folder.iterdir())):
        picture = Image.open(path).convert("RGB")
        picture.thumbnail((1600, 1600))
        for _ in range(count):
            area = random.uniform(0.3, 1) * min(picture.size) ** 2
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            width = min(picture.width, round(math.sqrt(area * ratio)))
            height = min(picture.height, round(math.sqrt(area / ratio)))
            x = int(random.integers(0, picture.width - width + 1))
            y = int(random.integers(0, picture.height - height + 1))
            box = (x, y, x + width, y + height)
            crop = picture.crop(box).resize((side, side), Image.Resampling.BICUBIC)
            flipped = random.random() < 0.5
            pixels = np.asarray(crop)
            found.append(pixels[:, ::-1] if flipped else pixels)
            owners.append(owner)
    return np.stack(found), np.array(owners)


class Figures:
    """Agreement and SQNR of integer graphs on crops, with standard errors by photograph."""

    def __init__(self, graph: Graph, samples: np.ndarray, owners: np.ndarray) -> None:
        self.samples, self.owners = samples, owners
        self.expected = np.concatenate(list(self.outputs(before_softmax(graph))))

    def outputs(self, graph: Graph) -> Iterator[np.ndarray]:
        for start in range(0, len(self.samples), TOGETHER):
            part = self.samples[start : start + TOGETHER]
            (output,) = run(graph, [to_input(graph, part)])
            yield to_reals(graph, graph.outputs[0], output).reshape(len(part), -1)

    def __call__(self, integer: Graph) -> dict[str, float]:
        found = np.concatenate(list(self.outputs(before_softmax(integer))))
        hits = 100.0 * (found.argmax(axis=1) == self.expected.argmax(axis=1))
        signal = np.square(self.expected, dtype=np.float64).sum(axis=1)
        noise = np.square(self.expected - found, dtype=np.float64).sum(axis=1)
        photographs = np.unique(self.owners)
        left_out = [self.owners != photograph for photograph in photographs]
        return {
            "agreement": float(hits.mean()),
            "agreement_error": jackknife([float(hits[left].mean()) for left in left_out]),
            "sqnr_db": decibels(signal, noise),
            "sqnr_error": jackknife([decibels(signal[left], noise[left]) for left in left_out]),
        }


def decibels(signal: np.ndarray, noise: np.ndarray) -> float:
    return 10 * math.log10(float(signal.sum() / noise.sum()))


def jackknife(values: list[float]) -> float:
    """The standard error, from the value without each of the photographs."""
    deviations = np.square(np.array(values) - np.mean(values))
    return math.sqrt((len(values) - 1) / len(values) * float(deviations.sum()))


def measured(options: argparse.Namespace) -> list[dict[str, Any]]:
    graph = onnx_graph.read(options.model)
    side = graph.tensors[graph.inputs[0]].shape[1]

    def reals(folder: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        pixels, owners = crops(folder, side, count, seed)
        return (pixels.astype(np.float32) - options.mean) / np.float32(options.std), owners

    calibration, _ = reals(options.calibration, options.crops, 1)
    # Rungs take the first so many samples, which must not be those of one photograph.
    np.random.default_rng(0).shuffle(calibration)
    test, owners = reals(options.test, options.crops, 2)
    judges = owners % JUDGES_EVERY == 0
    ends = (-options.mean / options.std, (255 - options.mean) / options.std)
    bench = Bench(
        lambda: (calibration[i : i + TOGETHER] for i in range(0, len(calibration), TOGETHER)),
        partial(quantize, input_range=ends),
        threads=options.threads,
    )
    seen = test[judges]
    held = Held(len(seen), seen.__getitem__, lambda g, i: to_input(g, seen[i]), None, True)
    figures = Figures(graph, test[~judges], owners[~judges])
    ranges = calibrate(graph, bench.batches())
    plain = Quantized(graph, ranges, bench.quantizer(graph, ranges))
    rungs = chosen(LADDER, options.rungs)
    rows = [{"rung": "ptq", **figures(plain.integer)}]
    for rung in rungs:
        began = time.perf_counter()
        repaired = rung.repair(plain, bench)
        seconds = round(time.perf_counter() - began, 1)
        if repaired is not None:
            rows.append({"rung": rung.name, "seconds": seconds, **figures(repaired.integer)})
    if len(rungs) > 1:
        began = time.perf_counter()
        best, steps = climb(plain, rungs, bench, Judge(graph, held, options.threads), None)
        seconds = round(time.perf_counter() - began, 1)
        kept = [step.rung for step in steps if step.kept]
        rows.append({"rung": "+".join(kept), "seconds": seconds, **figures(best.integer)})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="float32 ONNX, one picture in, logits out")
    parser.add_argument("calibration", type=Path, help="folder of photographs")
    parser.add_argument("test", type=Path, help="folder of other photographs")
    parser.add_argument("--rungs", nargs="*", help="names; the whole ladder if not given")
    parser.add_argument("--crops", type=int, default=16, help="of each photograph")
    parser.add_argument("--mean", type=float, default=127.5)
    parser.add_argument("--std", type=float, default=127.5)
    parser.add_argument("--threads", type=int, default=2)
    print(json.dumps(measured(parser.parse_args()), indent=2))


if __name__ == "__main__":
    main()
