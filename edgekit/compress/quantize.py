"""Graph(float32) + Ranges -> Graph(int8), after TFLite's 8-bit quantization specification.

Activations int8 with one scale and zero point, convolution weights int8 with one scale a channel,
biases int32; the network's input and output are int8 too. Every scale is a float32 number and used
as exactly that. Refused: graphs that are not float, ranges of another graph, ops without int8.

Fully connected weights have one scale for all channels: the Edge TPU compiler and TFLite before
2.17 know no other.
Source: https://ai.google.dev/edge/litert/models/quantization_spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from edgekit.compress.activation_scales import (
    PROBABILITY,
    activation_quantizations,
    affine_quantization,
    isolate_fixed,
    with_visible_logits,
    without_infinities,
)
from edgekit.compress.calibrate import Ranges
from edgekit.compress.weight_scales import Reals, natural_scales, quantize_layer
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Array, DType, Graph, Node, Quantization, Tensor
from edgekit.graph.verify import verify

# Op -> (axis of the weights' output channels, a scale for each).
_WEIGHTED: dict[type[ops.Op], tuple[int, bool]] = {
    ops.Conv2D: (0, True),
    ops.DepthwiseConv2D: (3, True),
    ops.FullyConnected: (0, False),
}
_PROBABILITIES = (ops.Softmax, ops.Logistic)
_PASSING = (ops.Reshape, ops.Squeeze, ops.ExpandDims)


def quantize(
    graph: Graph,
    ranges: Ranges,
    *,
    softmax: bool = True,
    input_range: tuple[float, float] | None = None,
) -> Graph:
    """The int8 graph.

    Args:
        graph: float32, simplified.
        ranges: of this graph's activations.
        softmax: append SOFTMAX if the only output is a row of logits.
        input_range: the reals that the preprocessing can give, instead of those that were seen;
            (0 - mean) / std and (255 - mean) / std make int8 inputs plain shifted pixels.

    Raises:
        InputError: the graph is not float, the ranges are not its own, or a range is too large.
        UnsupportedError: an op has no int8 form.
    """
    _check_float(graph)
    graph = _with_softmax(graph) if softmax else graph
    fixed = {n.outputs[0]: PROBABILITY for n in graph.nodes if isinstance(n.op, _PROBABILITIES)}
    if input_range is not None:
        fixed[graph.inputs[0]] = _input_quantization(graph, input_range)
    ranges = with_visible_logits(graph, without_infinities(graph, ranges))
    graph, ranges = isolate_fixed(graph, ranges, fixed)
    found = activation_quantizations(graph, ranges, fixed, lambda n, s: _least_scale(graph, n, s))
    draft = _Integers(graph, found)
    for node in graph.nodes:
        draft.add(node)
    quantized = graph.with_nodes(tuple(draft.nodes), draft.tensors)
    verify(quantized)
    return quantized


def _check_float(graph: Graph) -> None:
    for node in graph.nodes:
        for tensor in graph.outputs_of(node):
            if tensor.dtype is not DType.FLOAT32:
                raise InputError(
                    f"'{tensor.name}' is {tensor.dtype.value}; only float is quantized."
                )
        if isinstance(node.op, ops.Opaque | ops.Quantize | ops.Dequantize):
            raise UnsupportedError(f"Node '{node.name}' ({node.op.tflite_name}) is not quantized.")


def _input_quantization(graph: Graph, input_range: tuple[float, float]) -> Quantization:
    low, high = input_range
    if len(graph.inputs) != 1 or not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"The input range {input_range} does not fit the network's input.")
    return affine_quantization(low, high)


def _with_softmax(graph: Graph) -> Graph:
    """The graph with SOFTMAX behind its only output, unless that holds probabilities already."""
    if len(graph.outputs) != 1:
        return graph
    logits = graph.tensors[graph.outputs[0]]
    last = graph.producer(logits.name)
    while last is not None and isinstance(last.op, _PASSING):
        last = graph.producer(last.inputs[0])
    is_row = len(logits.shape) > 0 and logits.shape[-1] == logits.elements > 1
    if not is_row or last is None or isinstance(last.op, _PROBABILITIES):
        return graph
    name = f"{logits.name}/softmax"
    tensors = {**graph.tensors, name: Tensor(name, logits.shape, DType.FLOAT32)}
    node = Node(name, ops.Softmax(), (logits.name,), (name,))
    return replace(graph, tensors=tensors, nodes=(*graph.nodes, node), outputs=(name,))


def _real(graph: Graph, name: str) -> Reals:
    """A constant's values in float64."""
    tensor = graph.tensors[name]
    if tensor.data is None:
        raise UnsupportedError(f"The weights '{name}' are computed, not constant.")
    values = tensor.data.astype(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"The weights '{name}' hold values that are not finite numbers.")
    return values


def _weights_and_bias(graph: Graph, node: Node) -> tuple[Reals, Reals]:
    """Real weights, and the bias or zeros."""
    weights = _real(graph, node.inputs[1])
    channels = weights.shape[_WEIGHTED[type(node.op)][0]]
    return weights, _real(graph, node.inputs[2]) if len(node.inputs) == 3 else np.zeros(channels)


def _least_scale(graph: Graph, node: Node, scales: Mapping[str, float]) -> float:
    """The finest output scale that a kernel's fixed-point arithmetic can use.

    A factor of 1 or more between accumulator and output would shift to the left and overflow; an
    output step below the accumulator's resolution holds no information anyway.
    """
    kind = type(node.op)
    if kind in _WEIGHTED:
        axis, per_channel = _WEIGHTED[kind]
        weights, bias = _weights_and_bias(graph, node)
        source = scales[node.inputs[0]]
        return source * float(
            natural_scales(weights, bias, axis, source, per_channel=per_channel).max()
        )
    given = [scales.get(name, 0.0) or _constant_scale(graph, name) for name in node.inputs]
    rule = _LEAST_SCALES.get(kind)
    return rule(graph, node, given) if rule else 0.0


def _constant_scale(graph: Graph, name: str) -> float:
    tensor = graph.tensors[name]
    if tensor.data is None or tensor.dtype is not DType.FLOAT32:
        return 0.0
    return _constant_quantization(tensor.data).scale


def _constant_quantization(values: Array) -> Quantization:
    return affine_quantization(float(values.min()), float(values.max()))


def _least_sum(graph: Graph, node: Node, scales: list[float]) -> float:
    """Operands are raised by 2^20 and halved; the factor back must stay below 1."""
    return max(scales) * 2.0**-18


def _least_product(graph: Graph, node: Node, scales: list[float]) -> float:
    return scales[0] * scales[1]


def _least_mean(graph: Graph, node: Node, scales: list[float]) -> float:
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    return scales[0] * output.elements / source.elements


def _least_hard_swish(graph: Graph, node: Node, scales: list[float]) -> float:
    """The kernel's input is raised by 2^7 and must not be raised further."""
    return scales[0] * 2.0**-6


_LEAST_SCALES: dict[type[ops.Op], Callable[[Graph, Node, list[float]], float]] = {
    ops.Add: _least_sum,
    ops.Sub: _least_sum,
    ops.Mul: _least_product,
    ops.Mean: _least_mean,
    ops.HardSwish: _least_hard_swish,
    ops.Relu: _least_hard_swish,
    ops.Quantize: _least_hard_swish,
}


class _Integers:
    """The int8 graph's tensors and nodes, filled node by node."""

    def __init__(self, graph: Graph, found: Mapping[str, Quantization]) -> None:
        self._graph = graph
        self._found = found
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {
            name: replace(graph.tensors[name], dtype=DType.INT8, quantization=quantization)
            for name, quantization in found.items()
        }

    def add(self, node: Node) -> None:
        """Add a node with its constants as integers."""
        if type(node.op) in _WEIGHTED:
            inputs = self._layer(node)
        else:
            inputs = tuple(self._input(node, name) for name in node.inputs)
        self.nodes.append(replace(node, inputs=inputs))

    def _constant(self, name: str, data: Array, quantization: Quantization | None) -> str:
        """Add a constant, under another name if two layers read one constant on unlike scales."""
        unique, count = name, 0
        while unique in self.tensors:
            count += 1
            unique = f"{name}_{count}"
        self.tensors[unique] = Tensor.constant(unique, data, quantization)
        return unique

    def _layer(self, node: Node) -> tuple[str, ...]:
        axis, per_channel = _WEIGHTED[type(node.op)]
        weights, bias = _weights_and_bias(self._graph, node)
        source, output = self._found[node.inputs[0]].scale, self._found[node.outputs[0]].scale
        layer = quantize_layer(weights, bias, axis, (source, output), per_channel=per_channel)
        bias_name = node.inputs[2] if len(node.inputs) == 3 else f"{node.outputs[0]}/bias"
        of_weights = Quantization.per_channel(layer.scales, axis)
        of_bias = Quantization.per_channel(layer.bias_scales, 0)
        return (
            node.inputs[0],
            self._constant(node.inputs[1], layer.weights, of_weights),
            self._constant(bias_name, layer.bias, of_bias),
        )

    def _input(self, node: Node, name: str) -> str:
        """An activation's name, or an added constant's: axes as they are, reals as int8."""
        data = self._graph.tensors[name].data
        if data is None:
            return name
        if data.dtype != np.float32:
            if name not in self.tensors:
                self.tensors[name] = self._graph.tensors[name]
            return name
        pads = isinstance(node.op, ops.PadV2)
        quantization = self._found[node.inputs[0]] if pads else _constant_quantization(data)
        steps = _real(self._graph, name) / quantization.scale
        rounded = np.trunc(steps + np.copysign(0.5, steps)) + quantization.zero_point
        integers = cast(Array, np.clip(rounded, -128, 127).astype(np.int8))
        return self._constant(name, integers, quantization)
