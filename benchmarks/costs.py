"""The cost tables of `edgekit/lower/cost_tables/`: measures every kernel, fits, writes.

For each instruction set all ways to compute each layer of `cost_cases` are compiled, many layers a
program, and counted on the emulated chip. For each kernel a sum of a few of the node's quantities
with weights that are not negative is fitted to the counts, least squares of the missed share. The
error is of shapes that were left out of the fit, a fifth of them at a time.

    python benchmarks/costs.py             # all; takes a minute or two
    python benchmarks/costs.py dsp mve
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from cost_cases import layers

from edgekit.cli.console import progress_bars
from edgekit.emulate.chip.firmware import chip_for
from edgekit.emulate.chip.inference import Inferences
from edgekit.emulate.samples import random_samples
from edgekit.emulate.toolchain import CORES
from edgekit.graph.ir import Graph
from edgekit.lower import lowering
from edgekit.lower.cost import TABLES, key
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import candidates
from edgekit.lower.program import Step
from edgekit.lower.quantities import quantities
from edgekit.plan import boards
from edgekit.plan.boards import Board
from edgekit.stages.firmware import of_model

COMPILER = "gcc"
# A program of many layers: as much as the smallest board takes.
_WEIGHTS_BYTES, _ACTIVATIONS_BYTES = 150_000, 250_000
_FOLDS = 5
# A quantity is given up where the error grows less than by this share, or is nothing to speak of.
_LOSS, _EXACT = 1.03, 0.001
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Count:
    """What one way to compute one layer took."""

    key: str
    quantities: Mapping[str, int]
    instructions: int


def core_of(isa: Isa) -> str | None:
    """The smallest core with an instruction set, on which it is measured; None if there is none."""
    return next((core for core in CORES if Isa.of(core) is isa), None)


def board_of(core: str) -> Board:
    """A roomy board with a core: Arm's FPGA board, if need be with a processor that it has not."""
    if core == "cortex-m55":  # which unicorn lacks
        return boards.load("mps3_an547")
    board = boards.load("mps2_an386")
    changed = {"core": core, "features": (), "emulator": None}
    return board if board.core == core else board.model_copy(update=changed)


def programs(isa: Isa) -> Iterator[tuple[Graph, int]]:
    """Layers side by side, and which of each one's candidates computes it."""
    by_choice: dict[int, list[Graph]] = {}
    for layer in layers():
        for choice in range(len(candidates(layer, layer.nodes[0], isa))):
            by_choice.setdefault(choice, []).append(layer)
    for choice, chosen in by_choice.items():
        for part in _parts(chosen):
            yield _side_by_side(part), choice


def _parts(chosen: Sequence[Graph]) -> Iterator[list[Graph]]:
    part: list[Graph] = []
    room = (0, 0)
    for layer in chosen:
        tensors = layer.tensors.values()
        weights = sum(tensor.size_bytes for tensor in tensors if tensor.is_constant)
        activations = sum(tensor.size_bytes for tensor in tensors if not tensor.is_constant)
        room = (room[0] + 2 * weights, room[1] + activations)
        if part and (room[0] > _WEIGHTS_BYTES or room[1] > _ACTIVATIONS_BYTES):
            yield part
            part, room = [], (2 * weights, activations)
        part.append(layer)
    yield part


def _side_by_side(parts: Sequence[Graph]) -> Graph:
    """One graph of all layers, each with inputs and outputs of its own."""

    def named(part: Graph, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f"{part.name}/{name}" for name in names)

    return Graph(
        "layers",
        {
            f"{part.name}/{name}": replace(tensor, name=f"{part.name}/{name}")
            for part in parts
            for name, tensor in part.tensors.items()
        },
        tuple(
            replace(node, inputs=named(part, node.inputs), outputs=named(part, node.outputs))
            for part in parts
            for node in part.nodes
        ),
        tuple(
            name
            for part in parts
            for name in named(
                part, tuple(t.name for t in part.tensors.values() if _is_read(part, t.name))
            )
        ),
        tuple(name for part in parts for name in named(part, part.outputs)),
    )


def _is_read(part: Graph, name: str) -> bool:
    return not part.tensors[name].is_constant and name not in part.outputs


def measure(core: str, program: tuple[Graph, int]) -> tuple[str, list[Count]]:
    """The compiler, and the counts of a program's layers."""
    graph, choice = program

    def chosen(graph: Graph, steps: Sequence[Step], isa: Isa) -> Step:
        return steps[choice]

    with patch.object(lowering, "cheapest", chosen):
        firmware = of_model("layers", graph, b"", board_of(core), COMPILER)
    inputs = [value[0] for value in random_samples(graph, 1, seed=0)]
    counted = Inferences(chip_for(firmware), firmware).run(inputs).layers
    steps = firmware.program.steps
    return firmware.toolchain.title, [
        Count(key(step), quantities(firmware.program.graph, step.node), instructions)
        for step, instructions in zip(steps, counted, strict=True)
    ]


def fit(counts: Sequence[Count], isa: Isa) -> tuple[dict[str, float], float, float]:
    """Weights by quantity, and the error of shapes left out: root mean square, and the worst.

    One quantity after the other is given up, each time the one that the shapes left out miss least,
    as long as that does not cost them more than a little.
    """
    measured = np.array([count.instructions for count in counts], float)
    names = [name for name in counts[0].quantities if isa is Isa.MVE or "vector" not in name]
    shares = {name: [count.quantities[name] for count in counts] / measured for name in names}

    def columns(chosen: Sequence[str]) -> Floats:
        return np.column_stack([shares[name] for name in chosen])

    def error(chosen: Sequence[str]) -> float:
        return float(np.sqrt((_left_out(columns(chosen)) ** 2).mean()))

    chosen = [n for n, w in zip(names, _least_squares(columns(names)), strict=True) if w > 0]
    least = error(chosen)
    while len(chosen) > 1:
        without = [[name for name in chosen if name != given_up] for given_up in chosen]
        errors = [error(rest) for rest in without]
        if min(errors) > max(_LOSS * least, _EXACT):
            break
        chosen, least = without[int(np.argmin(errors))], min(least, *errors)
    weights, missed = _least_squares(columns(chosen)), np.abs(_left_out(columns(chosen)))
    kept = {name: float(f"{w:.4g}") for name, w in zip(chosen, weights, strict=True) if w > 0}
    return kept, float(np.sqrt((missed**2).mean())), float(missed.max())


def _left_out(shares: Floats) -> Floats:
    """The share by which each shape is missed by a fit to the folds without it."""
    missed, fold_of = np.empty(len(shares)), np.arange(len(shares)) % _FOLDS
    for fold in range(min(_FOLDS, len(shares))):
        out = fold_of == fold
        missed[out] = shares[out] @ _least_squares(shares[~out]) - 1
    return missed


def _least_squares(shares: Floats) -> Floats:
    """The weights w >= 0 with the least |shares w - 1|^2.

    Lawson and Hanson 1974, Solving Least Squares Problems, chapter 23.
    """
    lengths = np.maximum(np.sqrt((shares**2).sum(axis=0)), 1e-30)
    matrix = shares / lengths
    weights, free = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1], bool)
    for _ in range(3 * len(weights)):
        gradient = np.where(free, -np.inf, matrix.T @ (1 - matrix @ weights))
        if gradient.max() < 1e-9:
            break
        free[gradient.argmax()] = True
        while free.any():
            wanted = np.zeros(len(weights))
            wanted[free] = np.linalg.lstsq(matrix[:, free], np.ones(len(matrix)), rcond=None)[0]
            if (wanted[free] > 0).all():
                weights = wanted
                break
            falls = free & (wanted <= 0)
            step = (weights[falls] / (weights[falls] - wanted[falls])).min()
            weights = weights + step * (wanted - weights)
            free &= weights > 1e-12
    return weights / lengths


def table(isa: Isa, core: str, compiler: str, counts: Sequence[Count]) -> str:
    """The file, and on stdout how well it fits."""
    lines = [
        "# Written by `python benchmarks/costs.py`: instructions for one of each quantity of a",
        "# node (edgekit/lower/quantities.py), fitted to exact counts of layers of many shapes;",
        "# `error` is the root mean square share by which shapes left out of the fit are missed.",
        f'core = "{core}"',
        f'compiler = "{compiler}"',
    ]
    for name in sorted({count.key for count in counts}):
        own = [count for count in counts if count.key == name]
        weights, error, worst = fit(own, isa)
        print(
            f"{isa.value:9} {name:44} {len(own):3} shapes, error {error:6.1%}, worst {worst:6.1%}"
        )
        inside = ", ".join(f"{quantity} = {weight:g}" for quantity, weight in weights.items())
        lines += [
            "",
            f'[kernels."{name}"]',
            f"shapes = {len(own)}",
            f"error = {error:.3f}",
            f"weights = {{ {inside} }}",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    chosen = [Isa(name) for name in sys.argv[1:]] or list(Isa)
    TABLES.mkdir(exist_ok=True)
    for isa in chosen:
        core, path = core_of(isa), TABLES / f"{isa.value}.toml"
        if core is None:
            path.unlink(missing_ok=True)
            continue
        wanted, found = list(programs(isa)), []
        with progress_bars(False) as progress, ProcessPoolExecutor(os.cpu_count()) as pool:
            for one in pool.map(partial(measure, core), wanted):
                found.append(one)
                progress(f"programs on {isa.value}", len(found), len(wanted))
        compiler, counts = found[0][0], [count for _, part in found for count in part]
        path.write_text(table(isa, core, compiler, counts), "utf-8")


if __name__ == "__main__":
    main()
