"""Better ranges: what an activation's int8 steps cover, chosen by what comes out of the network.

First one method for all activations, or for each the one its readers come off best with; then,
from the best of these, one activation after the other, those that cost their readers most first, is
given each other method's range, and keeps what brings the output nearer to the float network's. All
is measured on calibration samples, with the very integers of the build.

Source: the methods, see `range_methods`; the greedy choice after Wu et al. 2020, Integer
Quantization for Deep Learning Inference (arXiv:2004.09602), section 5, who rank layers likewise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from edgekit.compress.calibrate import Ranges
from edgekit.compress.choose_ranges import (
    Costs,
    Group,
    costs,
    observe,
    with_best,
    with_choice,
    with_method,
)
from edgekit.compress.ladder import Rung
from edgekit.compress.quantized import Bench, Quantized, to_input, to_reals
from edgekit.compress.range_methods import METHODS
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.scores import before_softmax

_MOST_SAMPLES, _FEWEST_SAMPLES = 64, 8
# Some ten to thirty seconds on two cores. The activations whose readers suffer most come first.
_BUDGET_MACS, _MOST_TRIALS = 1e11, 60
_LEFT_OUT = 16  # one sample in so many
_TINY = 1e-30
_NOTABLE = 0.02  # decibels


def better_ranges(network: Quantized, bench: Bench) -> Quantized | None:
    """The network with the ranges that its output comes off best with."""
    groups = observe(network.graph, bench.batches())
    choices = [group for group in groups if len(group.candidates) > 1]
    if not choices:
        return None
    macs = max(1, graph_cost(network.graph).macs)
    count = int(min(_MOST_SAMPLES, max(_FEWEST_SAMPLES, _BUDGET_MACS / (macs * _MOST_TRIALS))))
    error = _measure(network.graph, bench, count)
    measured = costs(network.graph, groups, bench)
    starts = _starts(network.ranges, groups, measured)
    best = min(starts, key=lambda ranges: error(bench.quantizer(network.graph, ranges)))
    choices.sort(key=lambda group: -measured[group]["minmax"])
    affordable = min(_MOST_TRIALS, int(_BUDGET_MACS / (macs * count)))
    ranges = _greedy(network.graph, bench, best, choices, error, affordable)
    return bench.requantized(network, network.graph, ranges)


BETTER_RANGES = Rung(
    "better-ranges",
    "each activation's range by the method that its network's output comes off best with",
    "Wu et al. 2020, arXiv:2004.09602; Banner et al. 2019, arXiv:1810.05723; Migacz 2017, GTC",
    better_ranges,
)


def _starts(
    ranges: Ranges, groups: Sequence[Group], measured: Mapping[Group, Costs]
) -> Iterator[Ranges]:
    yield ranges
    for method in METHODS[1:]:
        yield with_method(ranges, groups, method)
    yield with_best(ranges, measured)


def _measure(graph: Graph, bench: Bench, count: int) -> Callable[[Graph], float]:
    """A function that gives an integer graph's noise, in decibels below the float output.

    The samples of the largest outputs are left out: no single one may decide.
    """
    samples = bench.samples(count)
    (expected,) = run(before_softmax(graph), [samples], threads=bench.threads)
    expected = expected.reshape(len(samples), -1)
    signal = np.square(expected, dtype=np.float64).sum(axis=1)
    counted = np.argsort(signal, kind="stable")[: len(signal) - len(signal) // _LEFT_OUT]

    def noise(integer: Graph) -> float:
        shorter = before_softmax(integer)
        (output,) = run(shorter, [to_input(shorter, samples)], threads=bench.threads)
        found = to_reals(shorter, shorter.outputs[0], output).reshape(expected.shape)
        error = np.square(np.subtract(expected, found), dtype=np.float64).sum(axis=1)
        noise, power = float(error[counted].sum()), float(signal[counted].sum())
        return 10 * math.log10(max(noise, _TINY) / max(power, _TINY))

    return noise


def _greedy(
    graph: Graph,
    bench: Bench,
    ranges: Ranges,
    groups: Sequence[Group],
    error: Callable[[Graph], float],
    affordable: int,
) -> Ranges:
    """One group after the other, as long as trials are left."""
    least = error(bench.quantizer(graph, ranges))
    for done, group in enumerate(groups):
        for method, extremes in group.candidates.items():
            if ranges.extremes[group.names[0]] == extremes or affordable <= 0:
                continue
            affordable -= 1
            tried = with_choice(ranges, group, method)
            found = error(bench.quantizer(graph, tried))
            if found < least - _NOTABLE:
                least, ranges = found, tried
        bench.progress("repair: better-ranges", done + 1, len(groups))
    return ranges
