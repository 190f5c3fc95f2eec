"""Depthwise convolution on cores that multiply pairs of 16-bit numbers.

A node enters, its step with a fast kernel leaves, or None where that kernel does not apply.
docs/kernels.md describes the layouts and proofs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.graph.fixedpoint import Integers
from edgekit.graph.ir import Array, DType
from edgekit.graph.ops import DepthwiseConv2D
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.one_step import OneStep, exponents, one_step, reachable
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.two_steps import two_steps
from edgekit.lower.windows import geometry


@dataclass(frozen=True, eq=False)
class _Layer:
    """What both kernels compute from.

    Attributes:
        weights: (C, taps) times 2^exponent, which are halfwords.
        bias: (C,) times 2^exponent.
        finish: how sums become outputs.
        rounds_twice: the finish is that of `two_steps`.
    """

    weights: Integers
    bias: Integers
    finish: OneStep
    rounds_twice: bool
    input_zero_point: int

    @staticmethod
    def of(op: DepthwiseConv2D, call: Call) -> _Layer | None:
        """None where neither finish is exact, or weights have a zero point."""
        x, weights = call.inputs[0], call.inputs[1]
        if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
            return None
        if op.dilation != (1, 1):
            return None
        flat = weights.data.reshape(-1, weights.shape[3]).T.astype(np.int64)
        terms = integer_terms(call, op.activation, channel_axis=3)
        exponent = exponents(terms, flat)
        finish, rounds_twice = one_step(terms, flat, exponent), False
        if finish is None:
            exact = two_steps(terms, *reachable(flat))
            if exact is None:
                return None
            (finish, exponent), rounds_twice = exact, True
        return _Layer(
            weights=flat << exponent[:, None],
            bias=finish.bias << exponent,
            finish=finish,
            rounds_twice=rounds_twice,
            input_zero_point=terms.input_zero_point,
        )


def strips(op: DepthwiseConv2D, call: Call) -> Step | None:
    """The step by ek_depthwise_3x3_dsp: 3x3 at stride 1, channels in fours, 2x2 outputs at least.

    None, too, where `pixels` takes fewer instructions.
    """
    x = call.inputs[0]
    rows, columns = _axes(op, call)
    if (rows.taps, columns.taps, *op.stride, x.shape[3] % 4) != (3, 3, 1, 1, 0):
        return None
    # A strip of four columns must not have one outside on both sides.
    if min(rows.count, columns.count) < 2 or (columns.before and columns.size < 3):
        return None
    if _strips_instructions(rows, columns) > _pixels_instructions(rows, columns):
        return None
    layer = _Layer.of(op, call)
    if layer is None or len(layer.weights) != x.shape[3]:
        return None
    stored = Constant(
        "weights",
        _one_by_one(layer),
        layout="each channel: requantization, bias, weights as pairs of halfwords",
    )

    def of_rows(rows: Axis) -> Kernel:
        fields = geometry(rows, columns, x.shape)
        unused = ("kernel_", "stride_")
        return Kernel(
            name="ek_depthwise_3x3_dsp",
            struct="ek_depthwise_3x3",
            parameters={
                **{key: fields[key] for key in fields if not key.startswith(unused)},
                "input_zero_point": layer.input_zero_point,
                "rounds_twice": int(layer.rounds_twice),
                "weights": stored,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=64 * (rows.count + 2),
            overwrites=(0,) if x.shape == call.output.shape else (),
        )

    return Step.by_rows(call.node, rows, of_rows, least_rows=2)


def pixels(op: DepthwiseConv2D, call: Call) -> Step | None:
    """The step by ek_depthwise_dsp: any window without dilation, four channels at least."""
    x = call.inputs[0]
    if x.shape[3] < 4:
        return None
    layer = _Layer.of(op, call)
    if layer is None:
        return None
    rows, columns = _axes(op, call)
    stored = Constant(
        "weights",
        _in_fours(layer, x.shape[3]),
        alignment=8,
        layout="four channels each: biases, weights as halfwords, requantization",
    )

    def of_rows(rows: Axis) -> Kernel:
        return Kernel(
            name="ek_depthwise_dsp",
            struct="ek_depthwise_packed",
            parameters={
                **geometry(rows, columns, x.shape),
                "multiplier": len(layer.weights) // x.shape[3],
                "input_zero_point": layer.input_zero_point,
                "rounds_twice": int(layer.rounds_twice),
                "weights": stored,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=rows.taps * columns.taps * x.shape[3],
        )

    return Step.by_rows(call.node, rows, of_rows)


def _strips_instructions(rows: Axis, columns: Axis) -> int:
    """Of four channels, by counts on a Cortex-M4; an odd last row or column is computed twice."""
    blocks, spread = (rows.count + 1) // 2, 26 * rows.size
    return (columns.count + 1) // 2 * (4 * (51 * blocks + 24) + spread + rows.count % 2 * 150 + 80)


def _pixels_instructions(rows: Axis, columns: Axis) -> int:
    """Of four channels of 3x3; windows that lap over the border are gathered first."""
    return 114 * rows.count * columns.count + 32 * (rows.count + columns.count)


def _axes(op: DepthwiseConv2D, call: Call) -> tuple[Axis, Axis]:
    x, (_, height, width, _) = call.inputs[0], call.inputs[1].shape
    return (
        Axis.of(x.shape[1], height, op.stride[0], 1, op.padding),
        Axis.of(x.shape[2], width, op.stride[1], 1, op.padding),
    )


def _one_by_one(layer: _Layer) -> Array:
    """What ek_depthwise_3x3_dsp reads, in its order."""
    w, finish = layer.weights, layer.finish
    # (C, 5, 2): the outer columns of each row, then the middle column's taps and a zero.
    outer = w.reshape(-1, 3, 3)[:, :, [0, 2]]
    middle = np.pad(w[:, 1::3], ((0, 0), (0, 1))).reshape(-1, 2, 2)
    constants = np.stack([finish.multiplier, finish.offset, finish.shift, layer.bias], axis=1)
    words = _words(np.concatenate([outer, middle], axis=1))
    return np.concatenate([constants, words], axis=1).astype(np.int32).reshape(-1)


def _in_fours(layer: _Layer, inputs: int) -> Array:
    """What ek_depthwise_dsp reads, in its order.

    The last four of `inputs` channels overlap those before where they do not divide by four.
    """
    starts = np.minimum(np.arange(0, inputs, 4), inputs - 4)
    copies = len(layer.weights) // inputs
    # (copies, fours, 4): first all input channels' first outputs.
    chosen = np.arange(copies)[:, None, None] + copies * (starts[:, None] + np.arange(4))
    chosen = chosen.reshape(-1, 4)
    finish = layer.finish
    # Channels 0 and 2 in the first word, 1 and 3 in the second.
    words = _words(layer.weights[chosen].transpose(0, 2, 1)[:, :, [0, 2, 1, 3]])
    scales = np.stack([finish.multiplier, finish.offset], axis=1)[chosen].reshape(-1, 8)
    parts = [layer.bias[chosen], words.reshape(len(chosen), -1), scales, finish.shift[chosen]]
    return np.concatenate(parts, axis=1).astype(np.int32).reshape(-1)


def _words(halves: Integers) -> Array:
    """(C, words) of (C, ..., 2 * words) numbers within 16 bits, two of them a word."""
    packed = np.ascontiguousarray(halves.astype("<i2")).reshape(len(halves), -1)
    return packed.view("<i4")
