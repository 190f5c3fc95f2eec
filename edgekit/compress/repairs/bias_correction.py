"""Bias correction: what rounding the weights shifts on average goes back into the biases.

Rounded weights and the errors of the layers before make a layer's mean output differ from the float
network's, in every channel by another amount; an int32 bias can take exactly that back. Measured on
calibration samples, layer after layer, each fed by the corrected integers before it. Layers are
linear before their activation, so the mean over samples is taken of their inputs and one sample's
worth of arithmetic gives the mean output.

Source: Nagel et al. 2019, Data-Free Quantization Through Weight Equalization and Bias Correction
(arXiv:1906.04721), section 4.2 and appendix D; Finkelstein et al. 2019, Fighting Quantization Bias
With Bias (arXiv:1906.03193).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from edgekit.compress.calibrate import Samples
from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized, to_input
from edgekit.compress.stepwise import Stepwise
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, DType, Graph, Node, Tensor
from edgekit.graph.ops import Activation
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

_Reals = np.ndarray[Any, np.dtype[np.float64]]
_LAYERS = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)
# Samples the means are taken over: more do not sharpen them to speak of. Large activations get
# fewer, for all samples' integers lie in memory at the same time.
_SAMPLES, _FEWEST, _BUDGET_BYTES = 128, 16, 1 << 28
_LARGEST_STEP = 255  # |input - zero point|


def correct_biases(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with its integer biases corrected; None if it has no layers with weights."""
    layers = [node for node in network.integer.nodes if isinstance(node.op, _LAYERS)]
    if not layers:
        return None
    samples = bench.samples(_count(network.integer))
    expected = _mean_inputs(network.graph, samples)
    origin = {node.outputs[0]: node for node in network.graph.nodes}
    walk = Stepwise(network.integer, to_input(network.integer, samples), bench.threads)
    for node in walk.nodes():
        if not isinstance(node.op, _LAYERS):
            continue
        ours = origin[node.outputs[0]]
        wanted = _mean_output(network.graph, ours, expected[ours.inputs[0]])
        found = _mean_output(walk.graph, node, _real_mean(walk, node.inputs[0]))
        bias = _corrected(walk.graph, node, wanted - found)
        walk.replace_constants({bias.name: bias})
    return replace(network, integer=walk.graph)


BIAS_CORRECTION = Rung(
    "bias-correction",
    "the mean error of every channel, measured layer by layer, goes into its bias",
    "Nagel et al. 2019, arXiv:1906.04721; Finkelstein et al. 2019, arXiv:1906.03193",
    correct_biases,
)


def _count(graph: Graph) -> int:
    largest = max(tensor.elements for tensor in graph.tensors.values() if tensor.data is None)
    return max(_FEWEST, min(_SAMPLES, _BUDGET_BYTES // largest))


def _mean_inputs(graph: Graph, samples: Samples) -> dict[str, _Reals]:
    """The float network's mean activations, each of one sample's shape."""
    totals: dict[str, _Reals] = {}

    def watch(name: str, values: Array) -> None:
        total = values.sum(axis=0, dtype=np.float64, keepdims=True)
        totals[name] = totals[name] + total if name in totals else total

    for start in range(0, len(samples), _FEWEST):
        run(graph, [samples[start : start + _FEWEST]], watch)
    return {name: total / len(samples) for name, total in totals.items()}


def _real_mean(walk: Stepwise, name: str) -> _Reals:
    quantization = walk.graph.tensors[name].quantization
    assert quantization is not None  # activations of an integer graph have one
    real: _Reals = (walk.mean(name) - quantization.zero_point) * quantization.scale
    return real


def _mean_output(graph: Graph, node: Node, mean_input: _Reals) -> _Reals:
    """Each channel's mean before the activation, (channels,), of a float or an integer layer."""
    tensors = [_real(tensor) for tensor in graph.inputs_of(node)]
    constants = (tensor.data for tensor in tensors[1:] if tensor.data is not None)
    values = (mean_input.astype(np.float32), *constants)
    output = replace(graph.tensors[node.outputs[0]], dtype=DType.FLOAT32, quantization=None)
    linear = replace(node, op=replace(node.op, activation=Activation.NONE))  # type: ignore[call-arg]
    (result,) = evaluate(Call(linear, tuple(tensors), (output,), values))
    flat = result.reshape(-1, result.shape[-1])
    return cast(_Reals, flat.mean(axis=0, dtype=np.float64))


def _real(tensor: Tensor) -> Tensor:
    """A tensor as float32; a constant with the reals its integers stand for."""
    data, quantization = tensor.data, tensor.quantization
    if data is not None and quantization is not None:
        scales = quantization.scales.astype(np.float64)
        if quantization.is_per_channel:
            shape = [1] * data.ndim
            shape[quantization.axis] = len(scales)
            scales = scales.reshape(shape)
        data = (data.astype(np.float64) * scales).astype(np.float32)
    return replace(tensor, dtype=DType.FLOAT32, quantization=None, data=data)


def _corrected(graph: Graph, node: Node, missing: _Reals) -> Tensor:
    """The bias with what is missing added, in whole steps, as far as 32-bit sums allow."""
    _, weights, bias = graph.inputs_of(node)
    assert weights.data is not None and bias.data is not None and bias.quantization is not None
    axis = 3 if isinstance(node.op, ops.DepthwiseConv2D) else 0
    channels = np.moveaxis(np.abs(weights.data.astype(np.int64)), axis, 0)
    room = DType.INT32.limits[1] - _LARGEST_STEP * channels.reshape(len(bias.data), -1).sum(axis=1)
    steps = bias.data + np.rint(missing / bias.quantization.scales.astype(np.float64))
    return replace(bias, data=np.clip(steps, -room, room).astype(np.int32))
