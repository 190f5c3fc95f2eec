"""FullyConnected on cores that multiply pairs of 16-bit numbers.

A node enters, its step with ek_dense_dsp leaves, or None where the arithmetic cannot be proven
exact. Weights and proofs are those of convolutions (`dsp`); docs/kernels.md describes them.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import Integers
from edgekit.graph.ir import Array, DType
from edgekit.graph.ops import FullyConnected
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.lower.dsp import pack, packed_bias
from edgekit.lower.one_step import SignedStep, signed_step
from edgekit.lower.program import Constant, Kernel, Step

_OUTPUTS = 4  # that ek_dense_dsp computes together
_NEXT, _LAST = 4, 5  # EK_DENSE_NEXT, EK_DENSE_LAST


def fully_connected(op: FullyConnected, call: Call) -> Step | None:
    """The step of a FullyConnected by ek_dense_dsp."""
    x, weights = call.inputs[0], call.inputs[1]
    if x.dtype is not DType.INT8 or weights.dtype is not DType.INT8 or weights.data is None:
        return None
    terms = integer_terms(call, op.activation, channel_axis=0)
    if terms.weight_zero_point != 0:
        return None
    outputs, inputs = weights.shape
    padded = np.pad(weights.data.astype(np.int64), ((0, 0), (0, -inputs % 8)))
    packed, finish = pack(padded), signed_step(terms, padded)
    if packed is None or finish is None:
        return None
    steps = packed.shape[1]
    kernel = Kernel(
        name="ek_dense_dsp",
        struct="ek_dense_packed",
        parameters={
            "rows": x.elements // inputs,
            "inputs": inputs,
            "outputs": outputs,
            "steps": steps,
            "weights": Constant(
                "weights",
                _stream(packed_bias(padded, finish), packed, finish),
                layout="four outputs each: biases, packed weights, requantization",
            ),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
        scratch_bytes=8 * steps,
    )
    return Step(call.node, (kernel,))


def _stream(bias: Integers, packed: Array, finish: SignedStep) -> Array:
    """All that the kernel reads, in its order (ek_dense_dsp.h)."""
    constants = np.stack([finish.multiplier, finish.offset, finish.jump, finish.shift], axis=1)
    outputs, steps = packed.shape
    whole, fours = outputs // _OUTPUTS, -(-outputs // _OUTPUTS)

    def in_fours(values: Array) -> Array:
        rows = np.pad(values, ((0, fours * _OUTPUTS - outputs), (0, 0)))
        return rows.reshape(fours, _OUTPUTS, values.shape[1])

    parts = [
        in_fours(bias[:, None]).reshape(fours, _OUTPUTS),
        in_fours(packed).transpose(0, 2, 1).reshape(fours, _OUTPUTS * steps),
        in_fours(constants).reshape(fours, 4 * _OUTPUTS),
        np.array([[_LAST if four >= whole - 1 else _NEXT] for four in range(fours)]),
    ]
    return np.concatenate(parts, axis=1).astype(np.int32).reshape(-1)
