"""Activations are replaced by simpler ones, and the int8 network is trained until it answers alike.

The float network that was given stays the teacher, and what the ladder judges against. On request
only: it changes what the network computes, so it is worth it where the activations themselves are
what int8 hurts, or what the target is slow at.

Source: Howard et al. 2019, Searching for MobileNetV3 (arXiv:1905.02244), section 5.2: swish made
hard; Krishnamoorthi 2018 (arXiv:1806.08342), section 5: ReLU6 for training with integers.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit import extras
from edgekit.compress.calibrate import calibrate
from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized
from edgekit.compress.repairs.qat import updates_for
from edgekit.graph.passes.simpler_activations import simplify_activations
from edgekit.graph.scores import before_softmax


def replace_activations(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with simpler activations, trained; None if it has none, or without lessons.

    What leaves keeps the given float graph: its integers answer like that one.

    Raises:
        MissingToolError: torch is not installed.
    """
    extras.require("train")
    from edgekit.compress.simulation.finetune import finetune
    from edgekit.compress.simulation.network import is_trainable

    simpler = simplify_activations(network.graph)
    if simpler is network.graph or bench.lessons is None:
        return None
    ranges = calibrate(simpler, bench.batches())
    whole = bench.quantizer(simpler, ranges)
    graph, integer = before_softmax(simpler), before_softmax(whole)
    if not is_trainable(integer, graph):
        return None
    teacher = before_softmax(network.graph)
    changed = finetune(graph, integer, updates_for(graph), bench, teacher)
    if changed is not None:
        whole = replace(whole, tensors={**whole.tensors, **changed.tensors})
    return replace(network, ranges=ranges, integer=whole)


SIMPLER_ACTIVATIONS = Rung(
    "simpler-activations",
    "swish becomes hard-swish, or hard-swish ReLU6; the int8 network is trained to answer alike",
    "Howard et al. 2019, arXiv:1905.02244",
    replace_activations,
    on_request=True,
    extra="train",
)
