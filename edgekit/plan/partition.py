"""Which part of a graph the Edge TPU compiler will map, judged without the compiler.

An integer graph enters; a frozen `Partition` leaves: each op on the Edge TPU or the CPU with the
rule that decides, the number of subgraphs, and whether the weights stay on the chip. It follows the
compiler's habit: the first run of supported ops in execution order becomes one custom op, and
everything after the first op that cannot be mapped stays on the CPU.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from edgekit.graph.ir import Graph, Node
from edgekit.plan.constraints import Rule, broken_rule, text

EDGE_TPU_SRAM_BYTES = 8 * 1024 * 1024
MAPPED = "mapped to the Edge TPU"
SECOND_SUBGRAPH = "follows an op on the CPU, and more than one subgraph is not supported"


@dataclass(frozen=True)
class Placement:
    """Where one op runs.

    Attributes:
        index: of the op in execution order.
        op: TFLite's name of it.
        name: the node's name.
        mapped: whether it runs on the Edge TPU.
        reason: `MAPPED`, the rule it breaks, or `SECOND_SUBGRAPH`.
    """

    index: int
    op: str
    name: str
    mapped: bool
    reason: str


@dataclass(frozen=True)
class Partition:
    """A prediction of the compiler's work.

    Attributes:
        placements: one an op.
        subgraph_count: custom ops in the compiled model.
        parameter_bytes: weights and biases of the mapped ops, before the compiler pads them.
        cache_bytes: what the activations leave of the chip's memory for parameters; the compiler
            was seen to leave less, so only its own report is final.
    """

    placements: tuple[Placement, ...]
    subgraph_count: int
    parameter_bytes: int
    cache_bytes: int

    @property
    def mapped_count(self) -> int:
        """Ops on the Edge TPU."""
        return sum(placement.mapped for placement in self.placements)

    @property
    def is_fully_mapped(self) -> bool:
        """Whether nothing stays on the CPU."""
        return self.mapped_count == len(self.placements)

    @property
    def on_chip_bytes(self) -> int:
        """Parameters that stay in the chip's memory between inferences."""
        return min(self.parameter_bytes, self.cache_bytes)

    @property
    def off_chip_bytes(self) -> int:
        """Parameters that are sent to the chip anew for each inference."""
        return self.parameter_bytes - self.on_chip_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain values for reports."""
        return {
            "mapped": self.mapped_count,
            "cpu": len(self.placements) - self.mapped_count,
            "subgraphs": self.subgraph_count,
            "parameter_bytes": self.parameter_bytes,
            "on_chip_bytes": self.on_chip_bytes,
            "off_chip_bytes": self.off_chip_bytes,
            "ops": [
                {
                    "index": p.index,
                    "name": p.op,
                    "node": p.name,
                    "mapped": p.mapped,
                    "reason": p.reason,
                }
                for p in self.placements
            ],
        }


def partition(
    graph: Graph, *, sram_bytes: int = EDGE_TPU_SRAM_BYTES, multiple_subgraphs: bool = False
) -> Partition:
    """Predict what the Edge TPU compiler maps.

    Args:
        graph: integer; may hold `Opaque` ops.
        sram_bytes: memory of the chip.
        multiple_subgraphs: as with the compiler's `-a`: every run of supported ops is mapped.
    """
    reasons = [broken_rule(graph, node) for node in graph.nodes]
    possible = [reason is None for reason in reasons]
    starts = [i for i, ok in enumerate(possible) if ok and (i == 0 or not possible[i - 1])]
    end = _end_of_run(possible, starts[0]) if starts and not multiple_subgraphs else len(possible)
    placements = []
    for index, (node, rule) in enumerate(zip(graph.nodes, reasons, strict=True)):
        mapped = rule is None and index < end
        reason = MAPPED if mapped else SECOND_SUBGRAPH if rule is None else broken(rule)
        placements.append(Placement(index, node.op.tflite_name, node.name, mapped, reason))
    on_chip = [graph.nodes[p.index] for p in placements if p.mapped]
    return Partition(
        placements=tuple(placements),
        subgraph_count=len(starts) if multiple_subgraphs else min(len(starts), 1),
        parameter_bytes=_parameter_bytes(graph, on_chip),
        cache_bytes=max(0, sram_bytes - _activation_bytes(graph, on_chip)),
    )


def broken(rule: Rule) -> str:
    """The reason that a broken rule is."""
    return f"breaks the rule '{text(rule)}'"


def _end_of_run(possible: list[bool], start: int) -> int:
    return next((i for i in range(start, len(possible)) if not possible[i]), len(possible))


def _parameter_bytes(graph: Graph, nodes: Iterable[Node]) -> int:
    constants = {t.name: t.size_bytes for n in nodes for t in graph.inputs_of(n) if t.is_constant}
    return sum(constants.values())


def _activation_bytes(graph: Graph, nodes: Iterable[Node]) -> int:
    """The largest working set of one op: what it reads and writes."""
    sets = [(*graph.inputs_of(node), *graph.outputs_of(node)) for node in nodes]
    return max((sum(t.size_bytes for t in s if not t.is_constant) for s in sets), default=0)
