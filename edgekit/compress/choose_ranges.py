"""Other ranges than the extremes: by one method for all activations, or the best for each.

A float graph, calibration samples and their `Ranges` enter; `Ranges` leave. "Best" is measured, not
assumed: each candidate quantizes this activation alone, and the error that counts is that of the
layers that read it. Activations that share a quantization get their range from the same method.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from edgekit.compress.activation_scales import affine_quantization, sharing
from edgekit.compress.calibrate import Ranges, Samples
from edgekit.compress.quantized import Bench
from edgekit.compress.range_methods import METHODS, Extremes, Method, Observed, chosen_by
from edgekit.compress.stepwise import Stepwise
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph

Costs = dict[Method, float]
Calibration = Literal["auto", "minmax", "average", "percentile", "mse", "kl"]
_TOGETHER = 16
_MEASURED = 16  # samples on which the candidates for an activation are compared


@dataclass(frozen=True, eq=False)
class Group:
    """Activations that share one quantization, and the ranges they might have.

    Attributes:
        names: of the activations.
        candidates: by method, the range that covers all of them; those that equal an earlier
            method's are left out, so "minmax" is always there.
    """

    names: tuple[str, ...]
    candidates: Mapping[Method, Extremes]


def choose_ranges(method: Calibration, graph: Graph, ranges: Ranges, bench: Bench) -> Ranges:
    """The ranges by one method, or by the best for each activation ("auto").

    Args:
        ranges: the extremes, which "minmax" leaves as they are.
    """
    if method == "minmax":
        return ranges
    groups = observe(graph, bench.batches())
    if method != "auto":
        return with_method(ranges, groups, method)
    return with_best(ranges, costs(graph, groups, bench))


def observe(graph: Graph, batches: Iterable[Samples]) -> tuple[Group, ...]:
    """See how often every activation takes which values, and what each method makes of it.

    Memory does not grow with the number of samples.
    """
    seen: dict[str, Observed] = defaultdict(Observed)
    for batch in batches:
        for start in range(0, len(batch), _TOGETHER):
            part = np.asarray(batch[start : start + _TOGETHER], np.float32)
            run(graph, [part], lambda name, values: seen[name].add(values))
    return tuple(_group(names, seen) for names in sharing(graph))


def with_method(ranges: Ranges, groups: Iterable[Group], method: Method) -> Ranges:
    """The ranges that one method chooses for all activations."""
    return _with(ranges, dict.fromkeys(groups, method))


def with_choice(ranges: Ranges, group: Group, method: Method) -> Ranges:
    """The ranges with one group's by a method, the others as they are."""
    return _with(ranges, {group: method})


def with_best(ranges: Ranges, costs: Mapping[Group, Costs]) -> Ranges:
    """The ranges that each activation's readers come off best with."""
    return _with(ranges, {group: min(cost, key=cost.__getitem__) for group, cost in costs.items()})


def costs(graph: Graph, groups: Sequence[Group], bench: Bench) -> dict[Group, Costs]:
    """For each group and method, the relative squared error of what reads the group."""
    group_of = {name: group for group in groups for name in group.names}
    costs: dict[Group, Costs] = {group: dict.fromkeys(group.candidates, 0.0) for group in groups}
    walk = Stepwise(graph, bench.samples(_MEASURED), bench.threads)
    for node in walk.nodes():
        (expected, *_) = walk.computed(node)
        for name in dict.fromkeys(node.inputs):
            if name not in group_of:
                continue
            group = group_of[name]
            for method, extremes in group.candidates.items():
                rounded = [_rounded(part, extremes) for part in walk.values(name)]
                (found, *_) = walk.computed(node, {name: rounded})
                costs[group][method] += _error(expected, found)
    for name in graph.outputs:
        group, expected = group_of[name], walk.values(name)
        for method, extremes in group.candidates.items():
            costs[group][method] += _error(expected, [_rounded(p, extremes) for p in expected])
    return costs


def _group(names: list[str], seen: Mapping[str, Observed]) -> Group:
    candidates: dict[Method, Extremes] = {}
    for method in METHODS:
        found = [chosen_by(method, seen[name]) for name in names]
        covering = min(low for low, _ in found), max(high for _, high in found)
        if covering not in candidates.values():
            candidates[method] = covering
    return Group(tuple(names), candidates)


def _with(ranges: Ranges, choice: Mapping[Group, Method]) -> Ranges:
    extremes = dict(ranges.extremes)
    for group, method in choice.items():
        # A method left out chose what an earlier one did: the extremes, for want of anything else.
        found = group.candidates.get(method, group.candidates["minmax"])
        extremes.update(dict.fromkeys(group.names, found))
    return replace(ranges, extremes=extremes)


def _rounded(values: Array, extremes: Extremes) -> Array:
    """The values as int8 between these ends would hold them."""
    quantization = affine_quantization(*extremes)
    scale = np.float32(quantization.scale)
    steps = np.rint(np.divide(values, scale, dtype=np.float32)) + quantization.zero_point
    kept = np.clip(steps, -128, 127) - quantization.zero_point
    rounded: np.ndarray[Any, np.dtype[np.float32]] = kept * scale
    return rounded


def _error(expected: list[Array], found: list[Array]) -> float:
    """Squared error over squared signal."""
    pairs = [
        (a.astype(np.float64), b.astype(np.float64)) for a, b in zip(expected, found, strict=True)
    ]
    signal = sum(float(np.square(a).sum()) for a, _ in pairs)
    return sum(float(np.square(a - b).sum()) for a, b in pairs) / (signal or 1.0)
