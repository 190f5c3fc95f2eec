"""Convolution on cores that multiply pairs of 16-bit numbers (ARMv7E-M, ARMv8-M with DSP).

A node enters, its step with the fast kernel leaves, or None where no fast kernel applies or its
arithmetic cannot be proven exact; then the portable kernel computes it. docs/kernels.md describes
the layouts and proofs.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import Integers
from edgekit.graph.ir import Array, DType
from edgekit.graph.ops import Conv2D
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.one_step import OneStep, one_step
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.windows import geometry

_PIXELS = 4  # that ek_conv_dsp computes together


def conv_2d(op: Conv2D, call: Call) -> Step | None:
    """The step of a Conv2D by ek_conv_dsp: one group, no dilation, an even number of outputs."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    outputs, height, width, depth = weights.shape
    if depth != x.shape[3] or op.dilation != (1, 1) or outputs % 2:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    rows = Axis.of(x.shape[1], height, op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], 1, op.padding)
    flat = _padded(weights.data.reshape(outputs, -1).astype(np.int64))
    packed = _pack(flat)
    if packed is None:
        return None
    finish = one_step(terms, flat)
    if finish is None:
        return None
    steps = flat.shape[1] // 4
    is_direct = (height, width, *op.stride, rows.before, columns.before, depth % 4) == (
        (1, 1, 1, 1, 0, 0, 0)
    )
    kernel = Kernel(
        name="ek_conv_dsp",
        struct="ek_conv_packed",
        parameters={
            **geometry(rows, columns, x.shape),
            "output_channels": outputs,
            "steps": steps,
            "is_direct": int(is_direct),
            "input_zero_point": terms.input_zero_point,
            "weights": Constant(
                "weights",
                _stream(flat, packed, finish),
                alignment=8,
                layout="pairs of channels: biases, packed weights, requantization",
            ),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
        scratch_bytes=_PIXELS * steps * (8 if is_direct else 12),
    )
    return Step(call.node, (kernel,))


def _padded(weights: Integers) -> Integers:
    """(O, K) weights with zeros up to a multiple of four."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % 4)))


def _pack(weights: Integers) -> Array | None:
    """(O, K / 4) words: halfwords 256 * even - odd; None where they do not fit.

    The low byte, sign-extended, must be -odd: -128 has no such byte.
    """
    halves = 256 * weights[:, 0::2] - weights[:, 1::2]
    if (weights[:, 1::2] == -128).any() or (halves != halves.astype(np.int16)).any():
        return None
    return np.ascontiguousarray(halves.astype("<i2")).view("<i4")


def _stream(weights: Integers, packed: Array, finish: OneStep) -> Array:
    """All that the kernel reads, in its order.

    For each pair of channels both biases, their words in turn, then multiplier, offset and shift of
    the first, and of the second.
    """
    pairs = len(packed) // 2
    # What the packing leaves on top of 256 * sum is taken off here.
    bias = 256 * finish.bias - 129 * weights[:, 1::2].sum(axis=1)
    words = packed.reshape(pairs, 2, -1).transpose(0, 2, 1).reshape(pairs, -1)
    constants = np.stack([finish.multiplier, finish.offset, finish.shift], axis=1)
    parts = [bias.reshape(pairs, 2), words, constants.reshape(pairs, 6)]
    return np.concatenate(parts, axis=1).astype(np.int32).reshape(-1)
