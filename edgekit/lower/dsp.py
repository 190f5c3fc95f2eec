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
from edgekit.graph.reference.layer import IntegerTerms, integer_terms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.one_step import OneStep, SignedStep, one_step, signed_step
from edgekit.lower.program import Constant, Kernel, Step
from edgekit.lower.windows import dilation, geometry

_PIXELS = 3  # that ek_conv_dsp computes together
_SHIFTS = (13, 12, 14, 11)  # that its saturating instructions know, the likeliest first
_NEXT, _LAST = 3, 4  # EK_CONV_NEXT, EK_CONV_LAST


def conv_2d(op: Conv2D, call: Call) -> Step | None:
    """The step of a Conv2D by ek_conv_dsp: at least two output channels a group."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    outputs, height, width, depth = weights.shape
    groups = x.shape[3] // depth
    if outputs // groups < 2:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    rows = Axis.of(x.shape[1], height, op.stride[0], op.dilation[0], op.padding)
    columns = Axis.of(x.shape[2], width, op.stride[1], op.dilation[1], op.padding)
    flat = _padded(weights.data.reshape(outputs, -1).astype(np.int64))
    packed = pack(flat)
    finish = _finish(terms, flat)
    if packed is None or finish is None:
        return None
    steps = packed.shape[1]
    is_direct = (height, width, *op.stride, rows.before, columns.before, depth % 4) == (
        (1, 1, 1, 1, 0, 0, 0)
    )
    stored = Constant(
        "weights",
        _stream(packed_bias(flat, finish), packed, finish, groups),
        layout="pairs of channels: biases, packed weights, requantization",
    )

    def of_rows(rows: Axis) -> Kernel:
        return Kernel(
            name="ek_conv_dsp",
            struct="ek_conv_packed",
            parameters={
                **geometry(rows, columns, x.shape),
                **dilation(rows, columns),
                "output_channels": outputs,
                "groups": groups,
                "steps": steps,
                "shift": 0 if isinstance(finish, SignedStep) else int(finish.shift[0]),
                "input_zero_point": terms.input_zero_point,
                "weights": stored,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
            scratch_bytes=_PIXELS * steps * (8 if is_direct else 12),
        )

    return Step.by_rows(call.node, rows, of_rows)


def _finish(terms: IntegerTerms, weights: Integers) -> OneStep | None:
    """With a shift that all channels share, or else of each its own, and two offsets."""
    for shift in _SHIFTS:
        if (finish := one_step(terms, weights, shift=shift)) is not None:
            return finish
    return signed_step(terms, weights)


def _padded(weights: Integers) -> Integers:
    """(O, K) weights with zeros up to a multiple of four."""
    return np.pad(weights, ((0, 0), (0, -weights.shape[1] % 4)))


def pack(weights: Integers) -> Array | None:
    """(O, K / 4) words: halfwords 256 * even - odd; None where they do not fit.

    The low byte, sign-extended, must be -odd: -128 has no such byte.
    """
    halves = 256 * weights[:, 0::2] - weights[:, 1::2]
    if (weights[:, 1::2] == -128).any() or (halves != halves.astype(np.int16)).any():
        return None
    return np.ascontiguousarray(halves.astype("<i2")).view("<i4")


def packed_bias(weights: Integers, finish: OneStep) -> Integers:
    """(O,) 256 times the bias, less what the packing leaves on top of 256 times the sum."""
    return np.asarray(256 * finish.bias - 129 * weights[:, 1::2].sum(axis=1), np.int64)


def _stream(bias: Integers, packed: Array, finish: OneStep, groups: int) -> Array:
    """All that the kernel reads, in its order (ek_conv_dsp.h)."""
    constants = [finish.multiplier, finish.offset]
    if isinstance(finish, SignedStep):
        constants += [finish.jump, finish.shift]
    finishing = np.stack(constants, axis=1)
    channels = len(packed) // groups
    # Of an odd number the last two, again and apart.
    firsts = [*range(0, channels - 1, 2), *([channels - 2] if channels % 2 else [])]
    is_last = [first >= channels - 3 for first in firsts]
    parts: list[Array] = []
    for group in range(0, len(packed), channels):
        for first, last in zip(firsts, is_last, strict=True):
            pair = slice(group + first, group + first + 2)
            parts += [bias[pair], packed[pair].T.reshape(-1), finishing[pair].reshape(-1)]
            parts.append(np.array([_LAST if last else _NEXT]))
    return np.concatenate(parts).astype(np.int32)
