"""ONNX matrix products with constant weights: Gemm and MatMul.

A flattened NCHW input is not transposed back: the weights' columns are put into the graph's order.
"""

from __future__ import annotations

from math import prod

import numpy as np

from edgekit.convert.onnx_call import Call
from edgekit.convert.onnx_layout import Values, View
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops


def gemm(call: Call) -> list[View]:
    """Gemm: alpha * A * B (+ beta * C) with constant B and C."""
    source = call.view(0)
    if call.flag("transA"):
        raise UnsupportedError("transposes its computed operand A")
    weights = call.constant(1, "weights").astype(np.float32)
    if weights.ndim != 2:
        raise InputError(f"its weights {list(weights.shape)} must have 2 dimensions")
    weights = weights if call.flag("transB") else weights.T
    weights = weights * np.float32(call.attribute("alpha", 1.0))
    bias = None
    if call.has(2):
        given = call.constant(2, "bias").astype(np.float32) * np.float32(
            call.attribute("beta", 1.0)
        )
        if given.size not in (1, len(weights)) or given.shape[-1:] not in ((), (1,), (given.size,)):
            raise InputError(f"its bias {list(given.shape)} does not fit {len(weights)} outputs")
        bias = np.broadcast_to(given.reshape(-1), (len(weights),))
    return [_product(call, source, weights, bias)]


def matmul(call: Call) -> list[View]:
    """MatMul of a computed tensor with constant weights (I, O)."""
    source = call.view(0)
    weights = call.constant(1, "weights").astype(np.float32)
    if weights.ndim != 2:
        raise UnsupportedError(f"its weights {list(weights.shape)} must have 2 dimensions")
    return [_product(call, source, weights.T, None)]


def _product(call: Call, source: View, weights: Values, bias: Values | None) -> View:
    """(..., I) times weights (O, I): FULLY_CONNECTED, or a 1x1 convolution for many rows."""
    builder, dims = call.builder, source.dims
    if not dims or dims[-1] != weights.shape[1]:
        raise InputError(f"its weights {list(weights.T.shape)} do not fit its input {list(dims)}")
    rows = prod(dims[:-1])
    if rows == 1:
        plain = builder.placed(source, sorted(source.reading()), (1, dims[-1]))
        inputs = [plain.tensor, _weights(call, weights[:, source.graph_positions()], 1)]
        op: ops.Op = ops.FullyConnected()
    else:
        plain = source
        if len(source.shape) != 4 or source.axes[-1] != (3,):
            plain = builder.placed(source, source.reading(), (1, 1, rows, dims[-1]))
        inputs = [plain.tensor, _weights(call, weights[:, None, None, :], 1)]
        op = ops.Conv2D()
    if bias is not None:
        inputs.append(builder.add_constant(call.node.inputs[2], bias))
    made = builder.emit(op, inputs, call.output)
    if plain is source:
        return source.of(made.tensor, made.shape)
    return builder.reshaped(made, (*dims[:-1], len(weights)))


def _weights(call: Call, values: Values, index: int) -> str:
    return call.builder.add_constant(call.node.inputs[index], values)
