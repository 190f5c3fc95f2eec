"""How many instructions a step takes: what was measured, as a weighted sum of a node's quantities.

`cost_tables/` holds a file for each instruction set, written by `benchmarks/costs.py` from exact
counts of an emulator. A step enters, an `Estimate` leaves; of several steps, the cheapest. Kernels
that the table does not know have no estimate; then the order in which they are tried decides.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.program import Estimate, Step
from edgekit.lower.quantities import quantities

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = Path(__file__).with_name("cost_tables")


@dataclass(frozen=True)
class KernelCost:
    """What the kernels of one name take.

    Attributes:
        weights: instructions for one of each quantity.
        error: the root mean square of the share by which estimates of shapes that the weights were
            not fitted to miss what was measured.
    """

    weights: Mapping[str, float]
    error: float


@cache
def costs(isa: Isa) -> Mapping[str, KernelCost]:
    """What is known of an instruction set, by `key`; empty if nothing was measured."""
    path = TABLES / f"{isa.value}.toml"
    if not path.is_file():
        return {}
    kernels = tomllib.loads(path.read_text("utf-8"))["kernels"]
    return {name: KernelCost(one["weights"], one["error"]) for name, one in kernels.items()}


def key(step: Step) -> str:
    """What a step's cost is found by: its op and its kernels, as "CONV_2D ek_conv_s8"."""
    names = dict.fromkeys(kernel.name for kernel in step.kernels)
    return " ".join((step.node.op.tflite_name, *names))


def estimate(graph: Graph, step: Step, isa: Isa) -> Estimate | None:
    """Instructions of a step, None if its kernels were not measured; a view takes none."""
    if not step.kernels:
        return Estimate(0, 0.0)
    cost = costs(isa).get(key(step))
    if cost is None:
        return None
    counted = quantities(graph, step.node)
    total = sum(weight * counted[name] for name, weight in cost.weights.items())
    return Estimate(round(total), cost.error)


def cheapest(graph: Graph, steps: Sequence[Step], isa: Isa) -> Step:
    """The step with the lowest estimate, which it gets; the first one if not all have one."""
    known = [replace(step, estimate=estimate(graph, step, isa)) for step in steps]
    counts = [step.estimate.instructions for step in known if step.estimate is not None]
    if len(counts) == len(known):
        known = [known[i] for i in sorted(range(len(known)), key=counts.__getitem__)]
    return replace(known[0], others=tuple(known[1:]))
