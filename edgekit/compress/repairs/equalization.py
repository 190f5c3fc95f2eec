"""Cross-layer equalization: channels of one activation get ranges alike, at no cost when it runs.

A ReLU lets a positive factor through: what a layer's channel is multiplied by, the next layer's
weights for that channel are divided by. Weights have a scale for each channel here, so what there
is to gain lies in the activation between, which has one scale for all its channels: in front of a
depthwise layer they are stretched half way (as ratios go) to the full range; in front of a dense
one the gain is weighed against that layer's weights, whose channels then differ.

ReLU6 does not let a factor through where values reach 6. Channels that do are left alone, others
stay well below it; even so samples that calibration has not seen may suffer: the ladder checks.

Source: Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction
(arXiv:1906.04721), section 4.1; activations in the place of weights after Meller et al. 2019,
Same, Same But Different (arXiv:1902.01917).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph, Node, Tensor
from edgekit.graph.ops import Activation

Reals = npt.NDArray[np.float64]
Factors = dict[str, Reals]  # of each equalized activation, one a channel

_LAYERS = (ops.Conv2D, ops.DepthwiseConv2D)
_SCALABLE = (Activation.NONE, Activation.RELU, Activation.RELU6)
_LARGEST_FACTOR = 16.0
# With ReLU6: how far a channel is stretched at most, and how near to 6 it may come on calibration
# samples. Channels that are rarely active reach much further on others.
_LARGEST_TO_SIX, _SHARE_OF_SIX = 2.0, 0.5
_TOGETHER = 16


def equalize(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with equalized channels; None if no two layers follow each other."""
    pairs = list(_pairs(network.graph))
    if not pairs:
        return None
    seen = _channel_ranges(network.graph, bench, {first.outputs[0] for first, _ in pairs})
    graph, extremes = network.graph, dict(network.ranges.extremes)
    for first, second in pairs:
        name = first.outputs[0]
        factors = _factors(graph, first, second, *seen[name])
        if (factors == 1).all():
            continue
        graph = _scaled(graph, name, factors)
        low, high = seen[name]
        extremes[name] = float((low * factors).min()), float((high * factors).max())
    if graph is network.graph:
        return None
    return bench.requantized(network, graph, replace(network.ranges, extremes=extremes))


EQUALIZATION = Rung(
    "equalization",
    "channels of an activation scaled to ranges alike, the next layer's weights the other way",
    "Nagel et al. 2019, arXiv:1906.04721; Meller et al. 2019, arXiv:1902.01917",
    equalize,
)


def _pairs(graph: Graph) -> Iterator[tuple[Node, Node]]:
    """Layers of which the second alone reads the first, both with constant weights of their own."""
    constants = [name for node in graph.nodes for name in node.inputs[1:]]
    for node in graph.nodes:
        readers = graph.consumers(node.outputs[0])
        if len(readers) != 1 or node.outputs[0] in graph.outputs:
            continue
        layers = (node, readers[0])
        if not all(isinstance(layer.op, _LAYERS) for layer in layers):
            continue
        own = all(constants.count(name) == 1 for layer in layers for name in layer.inputs[1:])
        constant = all(graph.tensors[name].is_constant for x in layers for name in x.inputs[1:])
        if own and constant and _activation(node) in _SCALABLE and _is_plain(graph, readers[0]):
            yield layers


def _activation(node: Node) -> Activation:
    assert isinstance(node.op, _LAYERS)
    return node.op.activation


def _is_plain(graph: Graph, node: Node) -> bool:
    """Whether input channels can be told apart in the weights: no groups, no multiplier."""
    channels = graph.tensors[node.inputs[0]].shape[3]
    return graph.tensors[node.inputs[1]].shape[3] == channels


def _channel_ranges(graph: Graph, bench: Bench, names: set[str]) -> dict[str, tuple[Reals, Reals]]:
    """The smallest and largest value of every channel of these activations."""
    found: dict[str, tuple[Reals, Reals]] = {}

    def watch(name: str, values: Array) -> None:
        if name in names:
            flat: npt.NDArray[Any] = values.reshape(-1, values.shape[-1])
            low, high = flat.min(axis=0).astype(float), flat.max(axis=0).astype(float)
            before = found.get(name, (low, high))
            found[name] = np.minimum(low, before[0]), np.maximum(high, before[1])

    for batch in bench.batches():
        for start in range(0, len(batch), _TOGETHER):
            run(graph, [batch[start : start + _TOGETHER]], watch)
    return found


def _factors(graph: Graph, first: Node, second: Node, low: Reals, high: Reals) -> Reals:
    """What each channel is multiplied by; 1 for those that hold nothing or may not be scaled."""
    reach = np.maximum(high, -low)
    wanted = np.divide(reach.max(), reach, out=np.ones_like(reach), where=reach > 0)
    wanted = np.sqrt(wanted)  # half way: samples not seen yet reach further
    if isinstance(second.op, ops.Conv2D):
        weights = graph.tensors[second.inputs[1]].data
        assert weights is not None
        use = np.abs(weights.astype(np.float64)).max(axis=(0, 1, 2))
        relative = np.divide(use, use.max(), out=np.ones_like(use), where=use > 0)
        wanted = wanted * np.sqrt(relative)  # neither side loses what the other gains
    factors: Reals = np.clip(wanted, 1.0, _LARGEST_FACTOR)
    if _activation(first) is Activation.RELU6:
        room = np.divide(6 * _SHARE_OF_SIX, high, out=np.ones_like(high), where=high > 0)
        factors = np.minimum(factors, np.clip(room, 1.0, _LARGEST_TO_SIX))
    return factors


def _scaled(graph: Graph, name: str, factors: Reals) -> Graph:
    """The graph with an activation's channels multiplied, and divided again by their reader."""
    first = graph.producer(name)
    (second,) = graph.consumers(name)
    assert first is not None
    across = 3 if isinstance(first.op, ops.DepthwiseConv2D) else 0
    changed = [_times(graph.tensors[first.inputs[1]], factors, across)]
    if len(first.inputs) == 3:
        changed.append(_times(graph.tensors[first.inputs[2]], factors, 0))
    changed.append(_times(graph.tensors[second.inputs[1]], 1 / factors, 3))
    return replace(graph, tensors={**graph.tensors, **{t.name: t for t in changed}})


def _times(tensor: Tensor, factors: Reals, axis: int) -> Tensor:
    assert tensor.data is not None
    shape = [1] * tensor.data.ndim
    shape[axis] = len(factors)
    data = tensor.data.astype(np.float64) * factors.reshape(shape)
    return replace(tensor, data=data.astype(np.float32))
