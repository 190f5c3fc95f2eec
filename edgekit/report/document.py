"""The report of a build as plain values: what `report.json` holds and `--json` prints.

Enter the values the stages left; leaves a dict whose keys scripts may rely on. Accuracies are
percentages, sizes bytes, times seconds. A value that could not be had is None, never a guess.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.graph.ir import Graph
from edgekit.models.cost import cost
from edgekit.models.spec import ModelSpec
from edgekit.plan.arena import ArenaPlan
from edgekit.plan.boards import Board
from edgekit.report.accuracy import Accuracy


@dataclass(frozen=True)
class Gate:
    """The accuracy gate: what `--max-drop` allows against what int8 costs, percentage points."""

    split: str
    max_drop: float
    drop: float

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the verdict."""
        return {**asdict(self), "passed": self.drop <= self.max_drop}


def document(
    *,
    spec: ModelSpec,
    graph: Graph,
    tflite: bytes,
    accuracy: Accuracy,
    gate: Gate | None,
    verified: Mapping[str, Any],
    arena: ArenaPlan,
    target: str,
    board: Board,
    sections: Mapping[str, Any],
    training: Mapping[str, Any],
    warnings: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report.

    Args:
        sections: what the backend adds, by section ("edgetpu", ...).
        verified: what the comparison with TFLite Micro's interpreter said.
        training: where the weights came from.
        seconds: by stage.
        The others: as their stages left them.
    """
    return {
        "model": {**spec.to_json(), "params": cost(spec).params, "macs": cost(spec).macs},
        "training": dict(training),
        "accuracy": _accuracy(accuracy),
        "gate": gate.to_json() if gate else None,
        "tflite": {
            "bytes": len(tflite),
            "ops": dict(Counter(node.op.tflite_name for node in graph.nodes)),
        },
        "verified": dict(verified),
        "memory": {
            "arena_bytes": arena.arena_bytes,
            "activations_bytes": arena.activations_bytes,
            "peak_node": arena.peak_node,
            "weights_bytes": sum(tensor.size_bytes for tensor in graph.constants()),
            "predicted": True,
        },
        "target": target,
        "board": board.id,
        **sections,
        "warnings": list(warnings),
        "seconds": dict(seconds),
    }


def _accuracy(accuracy: Accuracy) -> dict[str, Any]:
    """JSON has no infinity: equal logits have no SQNR."""
    values = asdict(accuracy)
    if not math.isfinite(accuracy.sqnr_db):
        values["sqnr_db"] = None
    return values
