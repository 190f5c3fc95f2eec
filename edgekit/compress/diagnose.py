"""Where int8 hurts: every layer against the float network, alone and with all before it.

A `Quantized` network and samples enter; a `Layer` for each op that computes leaves, in execution
order, and the suspects in words. A layer alone is fed the float network's values, rounded: its
noise is its own. With all before it, it is fed what the integers made: its noise is what has piled
up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compress.calibrate import Samples
from edgekit.compress.quantized import Quantized, as_integers, to_input, to_reals
from edgekit.compress.stepwise import Stepwise
from edgekit.graph import ops
from edgekit.graph.ir import Array, Graph, Node
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

Reals = npt.NDArray[np.float32]

_SUSPECTS = 3
# Ops that move values as they are: they make no noise.
_SILENT = (ops.Reshape, ops.Squeeze, ops.ExpandDims, ops.Transpose, ops.Split)
# A channel that reaches this much further than half of the others do; how many are named.
_OUTLIER, _NAMED = 8.0, 4
_NOTABLE_CLIPPED = 5e-4
_NARROW = 0.25  # of the steps that a layer's values use


@dataclass(frozen=True)
class Layer:
    """One layer's noise, and what may explain it.

    Attributes:
        name, op: of the node.
        isolated_db: SQNR of its output if it alone is integer; None if it is exact.
        accumulated_db: SQNR of its output in the integer network; None if it is exact.
        low, high: the reals its output's steps cover.
        seen_low, seen_high: the float network's values.
        clipped: percent of these that lie outside.
        outliers: channels that reach much further than the median channel: (channel, ratio).
    """

    name: str
    op: str
    isolated_db: float | None
    accumulated_db: float | None
    low: float
    high: float
    seen_low: float
    seen_high: float
    clipped: float
    outliers: tuple[tuple[int, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def diagnose(network: Quantized, samples: Samples, threads: int = 1) -> tuple[Layer, ...]:
    """Compare every layer of the integer network with the float one on the samples."""
    piled = Stepwise(network.integer, to_input(network.integer, samples), threads)
    alone = Stepwise(network.graph, samples, threads)
    integer_of = {node.outputs[0]: node for node in network.integer.nodes}
    accumulated = {node.outputs[0]: piled.computed(node)[0] for node in piled.nodes()}
    found = []
    for node in alone.nodes():
        twin = integer_of.get(node.outputs[0])
        if twin is None or isinstance(node.op, _SILENT):
            continue
        (expected, *_) = alone.computed(node)
        layer = _layer(network.integer, twin, expected, alone, accumulated[node.outputs[0]])
        found.append(layer)
    return tuple(found)


def suspects(layers: Sequence[Layer]) -> list[str]:
    """The layers that make most noise of their own, each with what explains it best."""
    noisy = [layer for layer in layers if layer.isolated_db is not None]
    worst = sorted(noisy, key=lambda layer: layer.isolated_db or 0.0)[:_SUSPECTS]
    return [
        f"{layer.op} '{layer.name}' ({layer.isolated_db:.1f} dB alone, "
        f"{_decibels(layer.accumulated_db)} with all before it): {_reason(layer)}."
        for layer in worst
    ]


def _reason(layer: Layer) -> str:
    """What explains a layer's noise best."""
    if layer.clipped > 100 * _NOTABLE_CLIPPED:
        return (
            f"{layer.clipped:.2f} % of its values lie outside {layer.low:.3g} to {layer.high:.3g} "
            "and are clipped; calibrate on pictures like these"
        )
    if layer.outliers:
        channel, ratio = layer.outliers[0]
        return (
            f"channel {channel} reaches {ratio:.0f} times as far as the median channel, which is "
            "left few steps; equalization may help"
        )
    if layer.seen_high - layer.seen_low < _NARROW * (layer.high - layer.low):
        return (
            "its values use a small part of its range, which it shares with others or which a "
            "rare value set; better ranges may help"
        )
    return "rounding of its weights and output; bias correction or block reconstruction may help"


def _layer(
    integer: Graph, twin: Node, expected: list[Array], alone: Stepwise, piled: list[Array]
) -> Layer:
    name = twin.outputs[0]
    inputs, outputs = integer.inputs_of(twin), integer.outputs_of(twin)
    own = []
    for index in range(len(expected)):
        values = tuple(
            as_integers(tensor, _source(alone, tensor.name)[index])
            if tensor.data is None
            else tensor.data
            for tensor in inputs
        )
        result = evaluate(Call(twin, inputs, outputs, values))[0]
        own.append(to_reals(integer, name, result))
    quantization = outputs[0].quantization
    assert quantization is not None
    least, most = outputs[0].dtype.limits
    low = quantization.scale * (least - quantization.zero_point)
    high = quantization.scale * (most - quantization.zero_point)
    reals = np.concatenate([part.astype(np.float32) for part in expected])
    half = quantization.scale / 2
    outside = (reals < low - half) | (reals > high + half)
    return Layer(
        name=twin.name,
        op=twin.op.tflite_name,
        isolated_db=_sqnr(reals, np.concatenate(own)),
        accumulated_db=_sqnr(reals, to_reals(integer, name, np.concatenate(piled))),
        low=low,
        high=high,
        seen_low=float(reals.min()),
        seen_high=float(reals.max()),
        clipped=100 * float(outside.mean()),
        outliers=_outliers(reals),
    )


def _source(alone: Stepwise, name: str) -> list[Array]:
    """The float values of an input; a requantized copy's are those of what it copies."""
    return alone.values(name.removesuffix("/requantized"))


def _outliers(reals: Reals) -> tuple[tuple[int, float], ...]:
    reach = np.abs(reals.reshape(-1, reals.shape[-1])).max(axis=0)
    median = float(np.median(reach))
    if median <= 0:
        return ()
    ratios = reach / median
    far = [int(channel) for channel in np.argsort(-ratios, kind="stable")[:_NAMED]]
    return tuple((c, round(float(ratios[c]), 1)) for c in far if ratios[c] > _OUTLIER)


def _sqnr(signal: Reals, found: Reals) -> float | None:
    """In decibels; None if the two are equal, -inf never: without a signal it is 0."""
    noise = float(np.square(signal - found, dtype=np.float64).sum())
    power = float(np.square(signal, dtype=np.float64).sum())
    if noise == 0:
        return None
    return 10 * math.log10(power / noise) if power > 0 else 0.0


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"
