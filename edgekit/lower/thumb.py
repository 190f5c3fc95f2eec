"""The kernels for cores that multiply 32 bits an instruction, and nothing else (ARMv6-M, ARMv7-M).

A node enters, its step with the fast kernel leaves, or None where no fast kernel applies or its
arithmetic cannot be proven exact; then the portable kernel computes it. docs/kernels.md describes
the layouts and proofs.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import Integers
from edgekit.graph.ir import Array, DType
from edgekit.graph.ops import Conv2D, DepthwiseConv2D
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.two_products import TwoProducts, two_products
from edgekit.lower.windows import geometry

_PIXELS = 8  # that ek_conv_pairs computes together
_CODED_TAPS = 23  # of a run: the kernel's code of a tap is 11 halfwords, which a byte counts
_CODED_HALFWORDS = 11
_COLUMNS = 3  # that ek_depthwise_planes computes together
_PLANE_BYTES = 4096  # of a strip of a channel, unless a single row of outputs takes more
_HALF = 1 << 15  # the field of a product's sum is half a word


def conv_2d(op: Conv2D, call: Call) -> Step | None:
    """The step of a Conv2D by ek_conv_pairs: one group, no dilation, at least eight pixels."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    outputs, height, width, depth = weights.shape
    if depth != x.shape[3] or op.dilation != (1, 1):
        return None
    rows = Axis.of(x.shape[1], height, op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], 1, op.padding)
    if rows.count * columns.count < _PIXELS:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    flat = weights.data.reshape(outputs, -1).astype(np.int64)
    finish = two_products(terms, flat)
    if finish is None:
        return None
    runs = [_runs(channel) for channel in flat]
    taps = flat.shape[1]
    stored = Constant("weights", _stream(flat, runs), layout="channels of runs: code, weights; 0")
    constants = Constant(
        "constants",
        _constants(finish, np.array([len(lengths) for lengths in runs])),
        layout="channels: two starts, eight of requantization",
    )

    def of_rows(rows: Axis) -> Kernel:
        return Kernel(
            name="ek_conv_pairs",
            struct="ek_paired_conv",
            parameters={
                **geometry(rows, columns, x.shape),
                "output_channels": outputs,
                "taps": taps,
                "input_zero_point": terms.input_zero_point,
                "weights": stored,
                "constants": constants,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=2 * _PIXELS * taps + depth,
        )

    return Step.by_rows(call.node, rows, of_rows, -(-_PIXELS // columns.count))


def depthwise_conv_2d(op: DepthwiseConv2D, call: Call) -> Step | None:
    """The step of a DepthwiseConv2D by ek_depthwise_planes: 3x3, undilated, columns by 1 or 2."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    _, *taps, channels = weights.shape
    if taps != [3, 3] or op.dilation != (1, 1) or channels != x.shape[3] or op.stride[1] > 2:
        return None
    rows = Axis.of(x.shape[1], 3, op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], 3, op.stride[1], 1, op.padding)
    if columns.count < _COLUMNS:
        return None
    terms = integer_terms(call, op.activation, channel_axis=3)
    flat = weights.data.reshape(9, channels).T.astype(np.int64)
    finish = two_products(terms, flat)
    if finish is None:
        return None
    row_bytes = 4 * ((columns.count - 1) * columns.stride + 3)
    fitting = (_PLANE_BYTES // row_bytes - 3) // rows.stride + 1

    def plane_bytes(count: int) -> int:
        return row_bytes * ((count - 1) * rows.stride + 3)

    stored = Constant(
        "weights",
        _channel_words(flat, finish),
        layout="channels: bias, weights, requantization",
    )

    def of_rows(rows: Axis) -> Kernel:
        fields = geometry(rows, columns, x.shape)
        strip = min(max(fitting, 1), rows.count)
        return Kernel(
            name="ek_depthwise_planes",
            struct="ek_planar_depthwise",
            parameters={
                **{key: value for key, value in fields.items() if not key.startswith("kernel_")},
                "strip_height": strip,
                "input_zero_point": terms.input_zero_point,
                "weights": stored,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=plane_bytes(strip),
            in_place_scratch_bytes=plane_bytes(rows.count)
            if x.shape == call.output.shape and x.shape[0] == 1
            else None,
        )

    return Step.by_rows(call.node, rows, of_rows)


def _runs(weights: Integers) -> list[int]:
    """How many taps at a time keep their sum within 16 bits, whatever int8 values they read.

    Weights of 0 at the end are left out.
    """
    ends = np.stack([weights * -128, weights * 127])
    lows, highs = ends.min(axis=0).tolist(), ends.max(axis=0).tolist()
    lengths, length, low, high = [], 0, 0, 0
    for least, most in zip(lows[: _last(weights)], highs, strict=False):
        if length == _CODED_TAPS or low + least < -_HALF or high + most >= _HALF:
            lengths.append(length)
            length, low, high = 0, 0, 0
        length, low, high = length + 1, low + least, high + most
    return [*lengths, length] if length else lengths


def _last(weights: Integers) -> int:
    """How many weights there are up to the last that is not 0."""
    return int(np.flatnonzero(weights).max(initial=-1)) + 1


def _stream(weights: Integers, runs: list[list[int]]) -> Array:
    """The bytes that ek_conv_pairs reads in turn: of each run its code and its weights, then 0."""
    stream: list[int] = []
    for channel, lengths in zip(weights.tolist(), runs, strict=True):
        first = 0
        for length in lengths:
            stream.append(1 + _CODED_HALFWORDS * (_CODED_TAPS - length))
            stream += channel[first : first + length]
            first += length
        stream.append(0)
    return np.array(stream, np.int64).astype(np.uint8).view(np.int8)


def _constants(finish: TwoProducts, runs: Integers) -> Array:
    """(C, 10) words: what both fields and the upper one start with, then the requantization.

    Each run adds half of a field to the lower one, which therefore never borrows.
    """
    start = (finish.bias << 16) + finish.bias - _HALF * runs
    words = np.concatenate([np.stack([start, finish.bias]), finish.words()])
    return words.T.astype(np.uint32).view(np.int32).ravel()


def _channel_words(weights: Integers, finish: TwoProducts) -> Array:
    """(C, 18) words, in the order in which ek_depthwise_planes reads them."""
    words = np.concatenate([finish.bias[None], weights.T, finish.words()])
    return words.T.astype(np.int32).ravel()
