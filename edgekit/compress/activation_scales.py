"""Scales and zero points of all activations, from their calibrated ranges.

A float graph and `Ranges` enter; a `Quantization` for each activation leaves. Ops that only move or
select values (TFLite's same-scale ops) share one quantization with their inputs, so that none of
them has to requantize. Source: TFLite's 8-bit quantization specification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgekit.compress.calibrate import Ranges
from edgekit.errors import InputError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node, Quantization

Extremes = tuple[float, float]

PROBABILITY = Quantization.per_tensor(1 / 256, -128)
"""int8 softmax and logistic outputs: [0, 255/256]."""

# Scales stay normal float32 numbers, and so does the product of two of them.
SMALLEST_SCALE = 2.0**-60
_LARGEST_REAL = 2.0**60
_LOGIT_STEP = 2.0**-25
# One sweep in execution order settles a chain; more only matter where a concatenation ties a later
# scale to an earlier one, and need not settle at all if the layers between amplify.
_SWEEPS = 3


def affine_quantization(low: float, high: float, least_scale: float = 0.0) -> Quantization:
    """int8 for reals between `low` and `high`, with real 0 exactly on a step.

    Args:
        low, high: widened to include 0.
        least_scale: a scale not to go below.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max((high - low) / 255, least_scale, SMALLEST_SCALE)))
    zero_point = -128 - _half_away(low / scale)
    return Quantization.per_tensor(scale, max(-128, min(127, zero_point)))


def shared_tensors(node: Node) -> tuple[str, ...]:
    """The activations of a node that must have one quantization; none for ops that rescale."""
    if isinstance(node.op, ops.Concatenation):
        return (*node.inputs, *node.outputs)
    if isinstance(node.op, ops.Split):
        return (node.inputs[1], *node.outputs)
    return (node.inputs[0], *node.outputs) if isinstance(node.op, _SAME_SCALE) else ()


def without_infinities(graph: Graph, ranges: Ranges) -> Ranges:
    """The ranges with those of -infinity paddings narrowed to what is padded.

    A max pool's padding only has to be lower than the rest: quantized, it saturates at the lowest
    step, which no value is below.
    """
    extremes = dict(ranges.extremes)
    for node in graph.nodes:
        value = graph.tensors[node.inputs[-1]].data
        if isinstance(node.op, ops.PadV2) and value is not None and value.min() < -_LARGEST_REAL:
            extremes[node.outputs[0]] = extremes[node.inputs[0]]
    return replace(ranges, extremes=extremes)


def with_visible_logits(graph: Graph, ranges: Ranges) -> Ranges:
    """The ranges with those of softmax inputs wide enough for its kernel to tell steps apart.

    It counts logits in steps of 2^-26. Those of an untrained network may all lie within one: each
    class is then as probable as the next, whatever their scale.
    """
    extremes = dict(ranges.extremes)
    for node in graph.nodes:
        source = node.inputs[0]
        if isinstance(node.op, ops.Softmax) and source in extremes:
            low, high = extremes[source]
            extremes[source] = low, max(high, low + 255 * _LOGIT_STEP / node.op.beta)
    return replace(ranges, extremes=extremes)


def isolate_fixed(
    graph: Graph, ranges: Ranges, fixed: Mapping[str, Quantization]
) -> tuple[Graph, Ranges]:
    """Insert a Quantize wherever a fixed quantization cannot be shared with what it joins.

    Args:
        fixed: activation name -> the only quantization it may have.

    Returns:
        The graph, and the ranges with those of the new tensors.
    """
    nodes, tensors = list(graph.nodes), dict(graph.tensors)
    extremes = dict(ranges.extremes)
    for members in sharing(graph):
        found = [name for name in members if name in fixed]
        others = [name for name in members if name not in fixed]
        if not found or _fits(fixed, found, [_extremes(ranges, name) for name in others]):
            continue
        for name in found:
            copy = f"{name}/requantized"
            tensors[copy] = replace(graph.tensors[name], name=copy)
            extremes[copy] = _extremes(ranges, name)
            nodes = _requantized(nodes, name, copy)
    return graph.with_nodes(tuple(nodes), tensors), replace(ranges, extremes=extremes)


def activation_quantizations(
    graph: Graph,
    ranges: Ranges,
    fixed: Mapping[str, Quantization],
    least_scale: Callable[[Node, Mapping[str, float]], float],
) -> dict[str, Quantization]:
    """The quantization of every activation.

    Args:
        fixed: activations whose quantization is given; see `isolate_fixed`.
        least_scale: (node, scales of the activations) -> the finest output scale its kernel's
            arithmetic can use. Matters for activations that hardly vary.
    """
    groups = sharing(graph)
    group_of = {name: i for i, members in enumerate(groups) for name in members}
    given = {group_of[name]: value for name, value in fixed.items()}
    least = [0.0] * len(groups)

    def chosen(index: int) -> Quantization:
        if index in given:
            return given[index]
        seen = [_extremes(ranges, name) for name in groups[index]]
        return affine_quantization(
            min(low for low, _ in seen), max(high for _, high in seen), least[index]
        )

    found = [chosen(index) for index in range(len(groups))]
    for _ in range(_SWEEPS):
        scales = {name: found[index].scale for name, index in group_of.items()}
        for node in graph.nodes:
            index = group_of[node.outputs[0]]
            if index in given or index in {group_of.get(name) for name in node.inputs}:
                continue  # not to be chosen, or tied to its own input
            needed = least_scale(node, scales)
            if needed > found[index].scale:
                least[index] = needed * (1 + 1e-6)  # survives the rounding to float32
                found[index] = chosen(index)
                scales.update(dict.fromkeys(groups[index], found[index].scale))
    return {name: found[index] for name, index in group_of.items()}


_SAME_SCALE = (
    ops.AveragePool2D,
    ops.MaxPool2D,
    ops.Pad,
    ops.PadV2,
    ops.Relu6,
    ops.Reshape,
    ops.Squeeze,
    ops.ExpandDims,
    ops.Transpose,
)


def _half_away(x: float) -> int:
    """C's round(), as TFLite chooses zero points."""
    return int(np.trunc(x + np.copysign(0.5, x)))


def _extremes(ranges: Ranges, name: str) -> Extremes:
    if name not in ranges.extremes:
        raise InputError(
            f"The ranges do not hold the activation '{name}'.",
            hint="Calibrate the very graph that is to be quantized.",
        )
    low, high = ranges.extremes[name]
    if not -_LARGEST_REAL <= low <= high <= _LARGEST_REAL:
        raise InputError(f"The range [{low}, {high}] of '{name}' cannot be quantized.")
    return low, high


def sharing(graph: Graph) -> list[list[str]]:
    """The activations, those that share one quantization together, in order of appearance."""
    group_of: dict[str, list[str]] = {}
    for name in (*graph.inputs, *(name for node in graph.nodes for name in node.outputs)):
        group_of[name] = [name]
    for node in graph.nodes:
        names = shared_tensors(node)
        for name in names[1:]:
            first, other = group_of[names[0]], group_of[name]
            if first is not other:
                first.extend(other)
                group_of.update(dict.fromkeys(other, first))
    return list({id(members): members for members in group_of.values()}.values())


def _fits(fixed: Mapping[str, Quantization], found: list[str], others: list[Extremes]) -> bool:
    """Whether the fixed quantization covers all others, up to the step that saturates."""
    first = fixed[found[0]]
    if any((fixed[n].scale, fixed[n].zero_point) != (first.scale, first.zero_point) for n in found):
        return False
    low = first.scale * (-129 - first.zero_point)
    high = first.scale * (128 - first.zero_point)
    return all(low <= a and b <= high for a, b in others)


def _requantized(nodes: list[Node], name: str, copy: str) -> list[Node]:
    """The nodes with the same-scale readers of a tensor reading a requantized copy of it."""
    changed = [
        replace(node, inputs=tuple(copy if other == name else other for other in node.inputs))
        if name in shared_tensors(node)
        else node
        for node in nodes
    ]
    first = next(i for i, node in enumerate(changed) if copy in node.inputs)
    quantize = Node(copy, ops.Quantize(), (name,), (copy,))
    return [*changed[:first], quantize, *changed[first:]]
