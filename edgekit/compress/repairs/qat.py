"""Quantization-aware training: the int8 network itself is trained on, for a few passes.

What no rounding of given weights reaches, training does: the forward pass computes the exported
integers to the bit, so what is trained is what will run. Scales stay those of the calibration.
Needs training pictures; what it learns is the float network's answers to them: labels too moved
the logits away from those.

Source: Jacob et al. 2018, Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference (arXiv:1712.05877), section 3; the float network as a teacher
after Mishra and Marr 2018, Apprentice (arXiv:1711.05852).
"""

from __future__ import annotations

from dataclasses import replace

from edgekit import extras
from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Graph
from edgekit.graph.scores import before_softmax

# Updates: so many that all of them take minutes on two cores.
_BUDGET_MACS, _FEWEST_UPDATES, _MOST_UPDATES = 2e10, 50, 600


def train_integers(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with trained weights and biases; None without lessons, or if nothing was gained.

    Raises:
        MissingToolError: torch is not installed.
    """
    extras.require("train")
    from edgekit.compress.simulation.finetune import finetune
    from edgekit.compress.simulation.network import is_trainable

    graph, integer = before_softmax(network.graph), before_softmax(network.integer)
    if bench.lessons is None or not is_trainable(integer, graph):
        return None
    changed = finetune(graph, integer, updates_for(graph), bench)
    if changed is None:
        return None
    tensors = {**network.integer.tensors, **changed.tensors}
    return replace(network, integer=replace(network.integer, tensors=tensors))


def updates_for(graph: Graph) -> int:
    """How many updates a network of this size is trained for."""
    return int(min(_MOST_UPDATES, max(_FEWEST_UPDATES, _BUDGET_MACS / graph_cost(graph).macs)))


QAT = Rung(
    "qat",
    "the int8 network is trained, its own integers forwards, straight through roundings backwards",
    "Jacob et al. 2018, arXiv:1712.05877; Mishra and Marr 2018, arXiv:1711.05852",
    train_integers,
    extra="train",
)
