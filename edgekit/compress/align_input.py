"""Make the network read shifted pixels: the usual (pixel - 127.5) / 127.5 becomes exact in int8.

int8 holds `pixel - 128` exactly, and real 0 must stand on a step. With a mean of 127.5, 0 lies half
way between two pixel values, so every input would be off by half a step, all in one direction. The
mean is rounded instead and the difference moves into the biases of the first layer, where it costs
nothing. A float graph and its `Preprocessing` enter; both leave, changed together or not at all.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Tensor
from edgekit.graph.verify import verify
from edgekit.preprocessing import Preprocessing

_Weighted = ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected


def align_input(graph: Graph, preprocessing: Preprocessing) -> tuple[Graph, Preprocessing]:
    """The same network on the same pixels, with an integer mean.

    Exact but for borders: a padded convolution pads with 0, which the shift turns from the mean to
    its rounded value (half a pixel step, on the outermost taps only).

    Returns:
        The arguments themselves where the mean is an integer already, differs between channels, or
        where the first ops are not layers with weights.
    """
    mean, std = preprocessing.mean[0], preprocessing.std[0]
    rounded = math.floor(mean + 0.5)
    uniform = set(preprocessing.mean) == {mean} and set(preprocessing.std) == {std}
    layers = _first_layers(graph)
    if not uniform or rounded == mean or not layers:
        return graph, preprocessing
    shift = (rounded - mean) / std
    tensors = dict(graph.tensors)
    changed = {id(node): _shifted(graph, node, shift, tensors) for node in layers}
    nodes = tuple(changed.get(id(node), node) for node in graph.nodes)
    aligned = graph.with_nodes(nodes, tensors)
    verify(aligned)
    means = (float(rounded),) * len(preprocessing.mean)
    return aligned, replace(preprocessing, mean=means)


def _first_layers(graph: Graph) -> list[Node]:
    """The layers that read the only input, through a Pad or not; [] if anything else reads it."""
    found = []
    readers = list(graph.consumers(graph.inputs[0])) if len(graph.inputs) == 1 else []
    while readers:
        node = readers.pop()
        if isinstance(node.op, ops.Pad):
            readers.extend(graph.consumers(node.outputs[0]))
        elif isinstance(node.op, _Weighted) and graph.tensors[node.inputs[1]].is_constant:
            found.append(node)
        else:
            return []
    return found


def _shifted(graph: Graph, node: Node, shift: float, tensors: dict[str, Tensor]) -> Node:
    """The layer for an input that is smaller by `shift`: its bias grows by shift * sum(weights)."""
    weights = cast(np.ndarray, graph.tensors[node.inputs[1]].data).astype(np.float64)
    channels = 3 if isinstance(node.op, ops.DepthwiseConv2D) else 0
    others = tuple(axis for axis in range(weights.ndim) if axis != channels)
    bias = shift * weights.sum(axis=others)
    if len(node.inputs) == 3:
        bias = bias + cast(np.ndarray, graph.tensors[node.inputs[2]].data)
    name = f"{node.outputs[0]}/aligned_bias"
    tensors[name] = Tensor.constant(name, bias.astype(np.float32))
    return replace(node, inputs=(*node.inputs[:2], name))
