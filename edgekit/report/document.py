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
    described: Mapping[str, Any],
    graph: Graph,
    tflite: bytes,
    accuracy: Accuracy | None,
    fidelity_db: float | None,
    gate: Gate | None,
    verified: Mapping[str, Any],
    arena: ArenaPlan,
    target: str,
    board: Board,
    sections: Mapping[str, Any],
    origin: Mapping[str, Any],
    warnings: Sequence[str],
    seconds: Mapping[str, float],
) -> dict[str, Any]:
    """The report.

    Args:
        described: the "model" section.
        accuracy: None without labelled pictures.
        fidelity_db: SQNR of the outputs before softmax; None without a float network.
        sections: what the backend adds or knows better, by section ("edgetpu", "memory", ...).
        verified: what the comparison with TFLite Micro's interpreter said.
        origin: where the weights came from.
        seconds: by stage.
        The others: as their stages left them.
    """
    return {
        "model": dict(described),
        "weights": dict(origin),
        "accuracy": _accuracy(accuracy) if accuracy else None,
        "fidelity_db": _finite(fidelity_db),
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
    return {**asdict(accuracy), "sqnr_db": _finite(accuracy.sqnr_db)}


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: equal values have no noise, and no ratio."""
    return value if value is not None and math.isfinite(value) else None
