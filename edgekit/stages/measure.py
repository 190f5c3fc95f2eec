"""What the integer network answers, and what int8 costs.

Enter the integer network, its float origin and data; leave known answers (golden vectors), accuracy
on a split nobody trained or calibrated with, and the verdict of the accuracy gate.
"""

from __future__ import annotations

import os

import numpy as np

from edgekit.backends.base import Golden
from edgekit.data import SplitName
from edgekit.emulate.samples import random_samples, reference_outputs, stacked
from edgekit.errors import UsageError
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Array
from edgekit.progress import Progress
from edgekit.report.accuracy import Accuracy
from edgekit.report.document import Gate
from edgekit.report.evaluate import Networks, evaluate, fidelity_db, network_input
from edgekit.stages.entry import Entry
from edgekit.stages.integer import Integer
from edgekit.stages.material import Material, Samples
from edgekit.stages.request import Request

GOLDEN_SAMPLES = 16  # known answers that travel in the bundle
# Samples compared with TFLite Micro, whose reference kernels do some 10^9 MACs a second: fewer
# where a network is large, so that the comparison ends within seconds.
_VERIFIED_SAMPLES, _VERIFIED_MACS = 200, 4_000_000_000
_RANDOM_SAMPLES = 32


def known_answers(
    entry: Entry, integer: Integer, material: Material, seed: int
) -> tuple[Golden, float | None]:
    """Inputs with the exact outputs, and the fidelity to the float network on them.

    Test pictures or given arrays where there are some; else seeded random inputs, which say nothing
    about fidelity.
    """
    graph = integer.graph
    count = min(_VERIFIED_SAMPLES, max(2, _VERIFIED_MACS // max(1, graph_cost(graph).macs)))
    reals, inputs = _inputs(entry, integer, material, count, seed)
    fidelity = None
    if entry.float_graph is not None and reals is not None and len(graph.outputs) == 1:
        fidelity = fidelity_db(entry.float_graph, graph, reals, inputs[0][:, 0])
    return Golden(inputs, reference_outputs(graph, inputs)), fidelity


def accuracy_on(
    split: SplitName,
    request: Request,
    entry: Entry,
    integer: Integer,
    material: Material,
    progress: Progress,
) -> Accuracy | None:
    """Accuracy on a split; None where there are no labelled pictures or no classes.

    Raises:
        UsageError: the data set and the network have different numbers of classes.
    """
    dataset = material.dataset
    if dataset is None or request.embedding or entry.contract is None or integer.contract is None:
        return None
    output = integer.graph.tensors[integer.graph.outputs[0]]
    if output.elements != len(dataset.labels):
        raise UsageError(
            f"The model has {output.elements} outputs, the data set {dataset.name} "
            f"{len(dataset.labels)} classes.",
            hint="Give the pictures of the model's own classes, or --embedding for features.",
        )
    return evaluate(
        Networks(entry.float_graph, entry.contract, integer.graph, integer.contract),
        dataset.splits[split],
        split=split,
        labels=material.labels or dataset.labels,
        threads=request.threads or os.cpu_count() or 1,
        progress=progress,
    )


def gate(
    request: Request, entry: Entry, integer: Integer, material: Material, progress: Progress
) -> Gate | None:
    """The gate's verdict, on the validation split, so that the test split decides nothing.

    Raises:
        UsageError: there is nothing to compare int8 with.
    """
    if request.max_drop is None:
        return None
    accuracy = accuracy_on("validation", request, entry, integer, material, progress)
    if accuracy is None or accuracy.drop is None:
        raise UsageError(
            "--max-drop compares int8 with the float network on labelled pictures.",
            hint="Give --data, and an architecture or an ONNX model.",
        )
    return Gate("validation", request.max_drop, accuracy.drop)


def _inputs(
    entry: Entry, integer: Integer, material: Material, count: int, seed: int
) -> tuple[Samples | None, tuple[Array, ...]]:
    """(float samples (n, ...) where they are known, an array (n, *shape) a graph input)."""
    graph, contract = integer.graph, integer.contract
    if material.dataset is not None and contract is not None and entry.contract is not None:
        split = material.dataset.splits["test"]
        pixels = split.pixels(np.arange(min(count, len(split))), contract)
        inputs = network_input(graph, contract, pixels)
        return entry.contract.normalize(pixels), (inputs[:, None],)
    if material.arrays is not None:
        arrays = material.arrays[:count]
        return arrays, (stacked(arrays, graph.tensors[graph.inputs[0]]),)
    return None, random_samples(graph, min(count, _RANDOM_SAMPLES), seed)
