"""The kernels for cores with vectors of 128 bits (ARMv8.1-M with MVE, "Helium").

A node enters, its step with the fast kernel leaves, or None where no fast kernel applies or its
arithmetic cannot be proven exact; then another kernel computes it. docs/kernels.md describes the
layouts.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import Integers
from edgekit.graph.ir import Array, DType
from edgekit.graph.ops import Add, Conv2D, DepthwiseConv2D, FullyConnected, Sub
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import IntegerTerms, integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.elementwise import by_elements, sum_form
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.top_byte import TopByte, top_byte
from edgekit.lower.windows import geometry

_VECTOR = 16  # bytes
_PIXELS = 4  # that ek_conv_mve computes together
_GATHERED_BYTES = 2048  # about which windows of several such groups are gathered at a time


def conv_2d(op: Conv2D, call: Call) -> Step | None:
    """The step of a Conv2D by ek_conv_mve: one group, no dilation, outputs in fours."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    outputs, height, width, depth = weights.shape
    if depth != x.shape[3] or op.dilation != (1, 1) or outputs % 4:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    rows = Axis.of(x.shape[1], height, op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], 1, op.padding)
    is_pointwise = (height, width, *op.stride, rows.before, columns.before) == (1, 1, 1, 1, 0, 0)
    if rows.count * columns.count < _PIXELS:
        return _dense(call, weights.data.reshape(outputs, -1), terms) if is_pointwise else None
    flat = weights.data.reshape(outputs, -1).astype(np.int64)
    finish = top_byte(terms, flat)
    if finish is None:
        return None
    is_direct = is_pointwise and (depth == 8 or depth % _VECTOR == 0)
    window_bytes = depth if is_direct else -(-flat.shape[1] // _VECTOR) * _VECTOR
    stream = _pairs(_padded(flat, window_bytes), finish)
    stored = Constant(
        "weights",
        stream,
        alignment=_VECTOR,
        layout="pairs of channels: vectors of weights in turn, requantization",
    )

    def of_rows(rows: Axis) -> Kernel:
        pixels = min(_GATHERED_BYTES // window_bytes, rows.count * columns.count)
        gathered = 0 if is_direct else max(pixels // _PIXELS, 1) * _PIXELS
        return Kernel(
            name="ek_conv_mve",
            struct="ek_conv_vectors",
            parameters={
                **geometry(rows, columns, x.shape),
                "output_channels": outputs,
                "window_bytes": window_bytes,
                "is_direct": int(is_direct),
                "gathered": gathered,
                "input_zero_point": terms.input_zero_point,
                **finish.fields,
                "weights_bytes": stream.nbytes,
                "weights": stored,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=gathered * window_bytes,
        )

    return Step.by_rows(call.node, rows, of_rows, -(-_PIXELS // columns.count))


def depthwise_conv_2d(op: DepthwiseConv2D, call: Call) -> Step | None:
    """The step of a DepthwiseConv2D by ek_depthwise_mve: 3x3, no dilation, strides 1 and 2."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    _, *taps, channels = weights.shape
    if taps != [3, 3] or op.dilation != (1, 1) or channels != x.shape[3]:
        return None
    if op.stride not in ((1, 1), (2, 2)) or x.shape[2] * channels < _VECTOR:
        return None
    stride = op.stride[0]
    terms = integer_terms(call, op.activation, channel_axis=3)
    rows = Axis.of(x.shape[1], 3, stride, 1, op.padding)
    columns = Axis.of(x.shape[2], 3, stride, 1, op.padding)
    if stride == 1 and min(rows.count, columns.count) < 2:
        return None
    flat = weights.data.reshape(9, channels).T.astype(np.int64)
    finish = top_byte(terms, flat)
    if finish is None:
        return None
    wide = min(2 if stride == 1 else 4, columns.count)
    outputs = -(-columns.count // wide) * wide  # with those of a tile that laps over the border
    last = (outputs - 1) * stride + (3 if stride == 1 else 4)
    strip_columns = max(columns.before + columns.size, last)
    stored = Constant("weights", _squares(flat), layout="zeros, then 4 columns of 4 a channel")
    finishing = Constant("finish", finish.rows, layout="4 words a channel")

    def of_rows(rows: Axis) -> Kernel:
        return Kernel(
            name="ek_depthwise_mve",
            struct="ek_depthwise_vectors",
            parameters={
                "batches": x.shape[0],
                "input_height": rows.size,
                "input_width": columns.size,
                "input_channels": channels,
                "output_height": rows.count,
                "output_width": columns.count,
                "stride": stride,
                "pad_top": rows.before,
                "pad_left": columns.before,
                "strip_columns": strip_columns,
                "input_zero_point": terms.input_zero_point,
                **finish.fields,
                "weights": stored,
                "finish": finishing,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=(4 * strip_columns + columns.size) * channels,
        )

    return Step.by_rows(call.node, rows, of_rows, least_rows=2 if stride == 1 else 1)


def fully_connected(op: FullyConnected, call: Call) -> Step | None:
    """The step of a FullyConnected by ek_dense_mve: weights without a zero point."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    return None if terms.weight_zero_point else _dense(call, weights.data, terms)


def add_or_sub(op: Add | Sub, call: Call) -> Step | None:
    """The step of an Add or a Sub of two activations of one shape by ek_add_mve."""
    a, b = call.inputs
    form = sum_form(op, call)
    if form is None:
        return None
    (a_factor, b_factor), offset, shift = form.factors, form.offset, form.shift

    def of_elements(elements: int) -> Kernel:
        return Kernel(
            name="ek_add_mve",
            struct="ek_add_vectors",
            parameters={
                "elements": elements,
                "a_factor": a_factor,
                "b_factor": b_factor,
                "offset": offset,
                "shift": shift,
            },
            operands=(a.name, b.name),
            outputs=call.node.outputs,
            overwrites=(0, 1),
        )

    return by_elements(call, of_elements)


def _dense(call: Call, weights: Array, terms: IntegerTerms) -> Step | None:
    """The step of (O, K) weights times each row of K inputs."""
    x, (outputs, inputs) = call.inputs[0], weights.shape
    flat = weights.astype(np.int64)
    finish = top_byte(terms, flat)
    if finish is None:
        return None
    kernel = Kernel(
        name="ek_dense_mve",
        struct="ek_dense_vectors",
        parameters={
            "rows": x.elements // inputs,
            "inputs": inputs,
            "outputs": outputs,
            **finish.fields,
            "weights": Constant(
                "weights",
                _outputs_in_fours(_padded(flat, -(-inputs // _VECTOR) * _VECTOR), finish),
                layout="four outputs each: biases, vectors of weights in turn, requantization",
            ),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))


def _outputs_in_fours(weights: Integers, finish: TopByte) -> Array:
    """What ek_dense_mve reads, in its order, of (O, K) weights, K a multiple of 16."""
    missing = -len(weights) % 4
    rows = np.pad(finish.rows, ((0, missing), (0, 0))).reshape(-1, 4, 4).transpose(0, 2, 1)
    vectors = np.pad(weights, ((0, missing), (0, 0))).astype(np.int8)
    turns = vectors.reshape(len(rows), 4, -1, _VECTOR).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(turns).reshape(len(rows), -1).view("<i4")
    parts = [rows[:, 0], words, rows[:, 1:].reshape(len(rows), -1)]
    return np.concatenate(parts, axis=1).reshape(-1)


def _squares(weights: Integers) -> Array:
    """(C + 1, 16) bytes: 16 zeros, then (C, 9) weights as columns in the corner of 4x4 zeros."""
    squares = np.zeros((len(weights) + 1, 4, 4), np.int8)
    squares[1:, :3, :3] = weights.reshape(-1, 3, 3).transpose(0, 2, 1)
    return squares.reshape(-1, _VECTOR)


def _padded(weights: Integers, length: int) -> Integers:
    """(C, K) weights with zeros up to a length."""
    return np.pad(weights, ((0, 0), (0, length - weights.shape[1])))


def _pairs(weights: Integers, finish: TopByte) -> Array:
    """What ek_conv_mve reads, in its order, of (O, window_bytes) weights."""
    outputs, length = weights.shape
    piece = min(length, _VECTOR)
    turns = weights.reshape(outputs // 2, 2, length // piece, piece).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(turns.astype(np.int8)).reshape(outputs // 2, -1).view("<i4")
    return np.concatenate([words, finish.rows.reshape(outputs // 2, -1)], axis=1).reshape(-1)
