"""Weights and biases of one layer as int8 and int32, safe for 32-bit accumulators.

Real weights and biases enter with the scales around them; integers and their scales leave. Weights
are symmetric in [-127, 127], so that their zero point is 0 and products of two of them fit 15 bits.
Source: TFLite's 8-bit quantization specification; https://arxiv.org/abs/1806.08342, section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.compress.activation_scales import SMALLEST_SCALE

Reals = npt.NDArray[np.float64]

# What the largest possible accumulator may use of int32; the rest is for rounding.
_ACCUMULATOR_LIMIT = 0.9 * 2.0**31
_LARGEST_STEP = 255  # |input - zero point|
_LARGEST_FACTOR = 2.0**7  # from accumulator to output; XNNPACK refuses 2^8
# A factor of 1 or more is a left shift by at most twice the factor, and rounding can nearly double
# the sum of a channel's weights.
_SHIFT_MARGIN = 4
# Channels whose weights are (nearly) zero get a scale from their surroundings instead: so large
# that biases stay small integers, so small that they are exact to a fraction of an output step.
_DEAD_WEIGHT = 2.0**-40
_DEAD_FACTOR = 2.0**-12
_LEAST_FACTOR = 2.0**-20


@dataclass(frozen=True, eq=False)
class LayerIntegers:
    """The integers of a layer.

    Attributes:
        weights: int8, shaped as the real ones.
        scales: float32, one a channel, or one.
        bias: int32 (channels,).
        bias_scales: float32 input scale * weight scale, as many as `scales`.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]
    bias_scales: npt.NDArray[np.float32]


def natural_scales(
    weights: Reals, bias: Reals, axis: int, input_scale: float, *, per_channel: bool
) -> Reals:
    """The finest weight scales at which no accumulator can overflow; (channels,) or (1,).

    max|w| / 127 as a rule. Where the bias, or very many weights, would not fit into 32 bits at that
    scale, the scale is enlarged as far as they need (TFLite enlarges for biases too).
    """
    channels = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1))
    reach = _reach(channels, bias, input_scale)
    scales: Reals = np.maximum(channels.max(axis=1, initial=0.0) / 127, reach / _ACCUMULATOR_LIMIT)
    return scales if per_channel else scales.max(keepdims=True)


def least_output_scale(
    weights: Reals, bias: Reals, axis: int, input_scale: float, *, per_channel: bool
) -> float:
    """The finest output scale that the kernels' fixed-point arithmetic can use.

    With one weight scale a factor of 1 or more from accumulator to output gains nothing: the output
    step would lie below the accumulator's. With a scale for each channel a single one of large
    weights (batch normalization of a channel that is always 0 makes such) must not coarsen the
    output of all: its sums may be shifted to the left as far as they stay in 32 bits.
    """
    scales = natural_scales(weights, bias, axis, input_scale, per_channel=per_channel)
    if not per_channel:
        return input_scale * float(scales.max())
    channels = np.abs(np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1))
    shifted = _SHIFT_MARGIN * _reach(channels, bias, input_scale) / _ACCUMULATOR_LIMIT
    least = np.minimum(scales, np.maximum(scales / _LARGEST_FACTOR, shifted))
    return input_scale * float(least.max())


def _reach(channels: Reals, bias: Reals, input_scale: float) -> Reals:
    """The largest accumulator of each channel, in weights times input steps."""
    reach: Reals = _LARGEST_STEP * channels.sum(axis=1) + np.abs(bias) / input_scale
    return reach


def quantize_layer(
    weights: Reals, bias: Reals, axis: int, scales: tuple[float, float], *, per_channel: bool
) -> LayerIntegers:
    """Quantize one layer.

    Args:
        weights: real, channels along `axis`.
        bias: real (channels,).
        scales: of the layer's input and output.
        per_channel: a weight scale for each channel, or one for all.
    """
    input_scale, output_scale = scales
    step = output_scale / input_scale
    found = natural_scales(weights, bias, axis, input_scale, per_channel=per_channel)
    others = tuple(i for i in range(weights.ndim) if i != axis) if per_channel else None
    dead = np.abs(weights).max(axis=others, initial=0.0).reshape(-1) <= step * _DEAD_WEIGHT
    found = np.maximum(found, np.where(dead, step * _DEAD_FACTOR, step * _LEAST_FACTOR))
    stored = np.maximum(found, SMALLEST_SCALE).astype(np.float32)
    exact = stored.astype(np.float64)
    shape = [1] * weights.ndim
    shape[axis] = len(exact)
    integers = np.clip(_half_away(weights / exact.reshape(shape)), -127, 127)
    wide_bias = _half_away(bias / (input_scale * exact))
    return LayerIntegers(
        integers.astype(np.int8),
        stored,
        wide_bias.astype(np.int32),
        (input_scale * exact).astype(np.float32),
    )


def _half_away(values: Reals) -> Reals:
    rounded: Reals = np.trunc(values + np.copysign(0.5, values))
    return rounded
