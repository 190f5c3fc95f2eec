"""FullyConnected: one matrix product.

Source of the integer arithmetic:
tensorflow/lite/kernels/internal/reference/integer_ops/fully_connected.h.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.ops import FullyConnected
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.layer import layer


def fully_connected(op: FullyConnected, call: Call) -> Values:
    """(..., I) read as (batch, I), weights (O,I), [bias (O)] -> (batch, O).

    With keep_dims the output is (..., O).
    """
    outputs, inputs = call.inputs[1].shape
    if not inputs or call.values[0].size % inputs:
        raise call.refuse(f"cannot read {call.inputs[0].shape} as rows of {inputs}")
    constants = layer(call, op.activation, channel_axis=0)
    rows = call.values[0].reshape(-1, inputs).astype(constants.weights.dtype)
    out = np.empty((len(rows), outputs), call.output_type)
    constants.finish(np.matmul(rows, constants.weights.T), out)
    return out.reshape(*call.values[0].shape[:-1], outputs) if op.keep_dims else out
