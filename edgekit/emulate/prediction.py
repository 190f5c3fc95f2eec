"""One sample's outputs as a person or a script reads them: the likeliest classes, or real values.

A graph and the outputs of a sample enter; plain values leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgekit.emulate.compare import ranks
from edgekit.emulate.samples import Values, real_values
from edgekit.graph.ir import Graph


def prediction(
    graph: Graph,
    outputs: Sequence[Values],
    labels: Sequence[str] | None,
    top: int,
    *,
    embedding: bool = False,
) -> dict[str, Any]:
    """What a sample's outputs say.

    Args:
        graph: that made them.
        outputs: one array an output, of its tensor's shape and type.
        labels: names of the classes, if they have any.
        top: how many classes to name.
        embedding: the values are features, not scores of classes.

    Returns:
        `top`: a list of {class, label, score}, the largest score first, of equal ones the lower
        class; where the outputs name no class `outputs`: a list of {name, shape, least, greatest,
        values}. Scores and values are real: probabilities after a softmax, else logits.
    """
    tensors = [graph.tensors[name] for name in graph.outputs]
    reals = [real_values(v, tensor) for v, tensor in zip(outputs, tensors, strict=True)]
    if not embedding and len(outputs) == 1 and ranks(graph):
        scores = reals[0].reshape(-1)
        ranked = np.argsort(-scores, kind="stable")[:top]
        return {"top": [_place(int(i), labels, float(scores[i])) for i in ranked]}
    return {
        "outputs": [
            {
                "name": tensor.name,
                "shape": list(tensor.shape),
                "least": float(real.min()),
                "greatest": float(real.max()),
                "values": real.tolist(),
            }
            for tensor, real in zip(tensors, reals, strict=True)
        ]
    }


def _place(index: int, labels: Sequence[str] | None, score: float) -> dict[str, Any]:
    named = labels is not None and index < len(labels)
    return {"class": index, "label": labels[index] if labels and named else None, "score": score}
