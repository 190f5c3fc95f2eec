"""How far LiteRT's answers lie from TFLite Micro's, op by op, as a markdown table on stdout.

Each op is run as a model of its own on seeded random layers (those of the unit tests) and, where
EDGEKIT_SHARED holds it, each layer of a real network on the activations that reach it. Outputs at
the ends of the int8 range say little and are not counted.

    python benchmarks/litert_deviations.py > table.md
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "graph"))

from layer_cases import binary_case, conv_case, dense_case, depthwise_case, mean_case, pool_case  # noqa: E402  # noqa: E402
from op_cases import activation, one_op, random_values, rng_of  # noqa: E402

from edgekit.convert.tflite_reader import read  # noqa: E402
from edgekit.convert.tflite_writer import write  # noqa: E402
from edgekit.emulate import litert, tflm  # noqa: E402
from edgekit.emulate.litert import Kernels  # noqa: E402
from edgekit.errors import UnsupportedError  # noqa: E402
from edgekit.graph.execute import run  # noqa: E402
from edgekit.graph.ir import DType, Graph  # noqa: E402
from edgekit.graph.ops import (  # noqa: E402
    Add,
    AveragePool2D,
    HardSwish,
    Logistic,
    MaxPool2D,
    Mul,
    Op,
    Quantize,
    Relu,
    Relu6,
    Softmax,
    Sub,
)

SEEDS = 1000
SAMPLES = 8
REAL_MODEL = Path(os.environ.get("EDGEKIT_SHARED", ROOT.parent / "shared")) / (
    "models/vww_96_int8.tflite"
)
Case = Callable[[np.random.Generator], Graph]


@dataclass
class Tally:
    """Outputs compared, and by how many steps they differed."""

    compared: int = 0
    differing: int = 0
    largest: int = 0
    refusals: list[str] = field(default_factory=list)

    def count(self, ours: np.ndarray, theirs: np.ndarray) -> None:
        inside = (ours > -128) & (ours < 127)
        steps = np.abs(ours.astype(int) - theirs)[inside]
        self.compared += steps.size
        self.differing += int((steps > 0).sum())
        self.largest = max(self.largest, int(steps.max(initial=0)))

    def __str__(self) -> str:
        if self.refusals:
            return "refused"
        if not self.differing:
            return "equal"
        share = 100 * self.differing / self.compared
        return f"{share:.2g} % by up to {self.largest}"


def look_up(op: Op, output: tuple[float, int] | None = None) -> Case:
    """A unary op; its output has the given quantization, or one near the input's."""

    def case(rng: np.random.Generator) -> Graph:
        scale = float(np.float32(np.exp(rng.uniform(-5, -2))))
        zero_point = int(rng.integers(-128, 128))
        other = (float(np.float32(scale * rng.uniform(0.6, 1.5))), int(rng.integers(-128, 128)))
        same = isinstance(op, Relu6)
        x = activation("x", (1, 16, 16), scale, zero_point)
        quantization = output or ((scale, zero_point) if same else other)
        return one_op(op, [x], activation("y", x.shape, *quantization))

    return case


CASES: dict[str, Case] = {
    # Without a bias LiteRT refuses CONV_2D and crashes on DEPTHWISE_CONV_2D (XNNPACK).
    "CONV_2D": lambda rng: conv_case(rng, always_bias=True),
    "DEPTHWISE_CONV_2D": lambda rng: depthwise_case(rng, always_bias=True),
    "FULLY_CONNECTED, per tensor": lambda rng: dense_case(rng, per_channel=False),
    "FULLY_CONNECTED, per channel": lambda rng: dense_case(rng, per_channel=True),
    "AVERAGE_POOL_2D": lambda rng: pool_case(AveragePool2D, rng, DType.INT8),
    "MAX_POOL_2D": lambda rng: pool_case(MaxPool2D, rng, DType.INT8),
    "MEAN": lambda rng: mean_case(rng, [1, 2], 4, float(np.exp(rng.uniform(-1, 1)))),
    "ADD": lambda rng: binary_case(Add, rng, ((1, 5, 4, 3), (1, 5, 4, 3))),
    "SUB": lambda rng: binary_case(Sub, rng, ((1, 5, 4, 3), (1, 5, 4, 3))),
    "MUL": lambda rng: binary_case(Mul, rng, ((1, 5, 4, 3), (1, 5, 4, 3))),
    "MUL, broadcast": lambda rng: binary_case(Mul, rng, ((1, 5, 4, 3), (1, 1, 1, 3))),
    "SOFTMAX": look_up(Softmax(), (1 / 256, -128)),
    "LOGISTIC": look_up(Logistic(), (1 / 256, -128)),
    "HARD_SWISH": look_up(HardSwish()),
    "RELU": look_up(Relu()),
    "RELU6": look_up(Relu6()),
    "QUANTIZE, int8 to int8": look_up(Quantize()),
}


def compare(graph: Graph, inputs: list[Any], tallies: dict[Kernels, Tally]) -> None:
    tflite = write(graph)
    (expected,) = tflm.run(tflite, inputs)
    for kernels, tally in tallies.items():
        try:
            (actual,) = litert.run(tflite, inputs, kernels)
        except UnsupportedError as error:
            tally.refusals.append(str(error))
            continue
        tally.count(expected, actual)


def random_layers() -> Iterator[tuple[str, dict[Kernels, Tally]]]:
    for name, case in CASES.items():
        tallies = {kernels: Tally() for kernels in Kernels}
        for seed in range(SEEDS):
            rng = rng_of("deviations", name, seed)
            graph = case(rng)
            inputs = [random_values(rng, graph.tensors[n]) for n in graph.inputs]
            compare(graph, inputs, tallies)
        yield name, tallies


def real_layers() -> Iterator[tuple[str, dict[Kernels, Tally]]]:
    """Each layer of the real network alone, then all of them together, on smooth random images."""
    graph = read(REAL_MODEL.read_bytes())
    rng = rng_of("real")
    coarse = rng.integers(-128, 128, (SAMPLES, 6, 6, 3)).astype(np.int8)
    images = coarse.repeat(16, axis=1).repeat(16, axis=2)
    values: dict[str, Any] = {}
    run(graph, [images], values.__setitem__)
    by_op: dict[str, dict[Kernels, Tally]] = {}
    for node in graph.nodes:
        inputs, output = list(graph.inputs_of(node)), graph.outputs_of(node)[0]
        tallies = by_op.setdefault(node.op.tflite_name, {kernels: Tally() for kernels in Kernels})
        fed = [values[tensor.name] for tensor in inputs if not tensor.is_constant]
        compare(one_op(node.op, inputs, output), fed, tallies)
    yield from by_op.items()
    whole = {kernels: Tally() for kernels in Kernels}
    for kernels, tally in whole.items():
        for i in range(SAMPLES):
            theirs = litert.tensors(REAL_MODEL.read_bytes(), [images[i : i + 1]], kernels)
            for node in graph.nodes:
                tally.count(values[node.outputs[0]][i : i + 1], theirs[node.outputs[0]])
    yield "all in one run, errors adding up", whole


def table(title: str, rows: Iterator[tuple[str, dict[Kernels, Tally]]]) -> None:
    print(f"| {title} | outputs | BUILTIN_REF | XNNPACK |\n|---|---|---|---|")
    for name, tallies in rows:
        compared = tallies[Kernels.REFERENCE].compared
        cells = " | ".join(str(tallies[kernels]) for kernels in Kernels)
        print(f"| {name} | {compared:,} | {cells} |", flush=True)


def main() -> None:
    table(f"{SEEDS} random layers", random_layers())
    if REAL_MODEL.is_file():
        print()
        table(f"layers of {REAL_MODEL.stem}", real_layers())


if __name__ == "__main__":
    main()
