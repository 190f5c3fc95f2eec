"""Block reconstruction: weights are rounded to what serves their block, not to what is nearest.

To round each weight to the nearest integer is not the best for what a layer computes: errors of
many weights add up in its sums. Block after block, on calibration samples, integers change by one
step where this brings the block's output nearer to the float network's, fed by what the integers
before it give; biases move with them. Gradients pass straight through the rounding.

Source: Li et al. 2021, BRECQ: Pushing the Limit of Post-Training Quantization by Block
Reconstruction (arXiv:2102.05426); Nagel et al. 2020, Up or Down? Adaptive Rounding for
Post-Training Quantization (arXiv:2004.10568), whose regulariser it does without.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit import extras
from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Graph
from edgekit.graph.scores import before_softmax

# All samples' activations at the borders of a block lie in memory, as float32 and as int8.
_SAMPLES, _FEWEST, _BUDGET_BYTES = 256, 16, 1 << 30
# Updates of each block: so many that all of them take a minute or two on two cores.
_BUDGET_MACS, _FEWEST_UPDATES, _MOST_UPDATES = 4e10, 100, 400


def reconstruct_blocks(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with other weights and biases; None where it cannot be trained, see `Simulation`.

    Raises:
        MissingToolError: torch is not installed.
    """
    extras.require("train")
    from edgekit.compress.simulation.network import is_trainable
    from edgekit.compress.simulation.reconstruct import reconstruct

    graph, integer = before_softmax(network.graph), before_softmax(network.integer)
    if not is_trainable(integer, graph):
        return None
    samples = bench.samples(_count(graph))
    updates = int(min(_MOST_UPDATES, max(_FEWEST_UPDATES, _BUDGET_MACS / graph_cost(graph).macs)))
    changed = reconstruct(graph, integer, samples, updates, bench)
    tensors = {**network.integer.tensors, **changed.tensors}
    return replace(network, integer=replace(network.integer, tensors=tensors))


BLOCK_RECONSTRUCTION = Rung(
    "block-reconstruction",
    "weights are rounded, and biases set, to what brings each block's output nearest to float",
    "Li et al. 2021, arXiv:2102.05426; Nagel et al. 2020, arXiv:2004.10568",
    reconstruct_blocks,
    extra="train",
)


def _count(graph: Graph) -> int:
    largest = max(tensor.elements for tensor in graph.tensors.values() if tensor.data is None)
    return max(_FEWEST, min(_SAMPLES, _BUDGET_BYTES // (4 * largest)))
