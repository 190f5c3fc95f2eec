"""Folding: what a TFLite file computes from shapes alone is computed while it is read.

Keras models are usually converted with a free batch. The file then computes the target of every
reshape when it runs: SHAPE, STRIDED_SLICE, PACK; for dense layers on sequences also GATHER,
REDUCE_PROD and CONCATENATION. With the batch fixed to the 1 that the file's shapes say, these are
constants of a few integers. Models with float16 or int8 weights in a float network DEQUANTIZE each.
An operator and its tensors enter; its value leaves, or None where it is not such a computation: the
reader then treats it as any other operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from edgekit.convert.tflite_flatbuffer import Table
from edgekit.graph.ir import Array, DType, Tensor

Integers = npt.NDArray[np.int64]

# A shape has at most as many dimensions; what is longer is data, not a shape.
_MOST_ELEMENTS = 64
_INTEGERS = (DType.INT32, DType.INT64)
_DEQUANTIZE = 6
_SHAPE = 77


def fold(code: int, options: Table | None, inputs: Sequence[Tensor]) -> Array | None:
    """The value of an operator's only output; None if it is not known before the network runs.

    Args:
        code: the operator's BuiltinOperator number.
        options: its options table; None if it has none.
        inputs: the tensors it reads.
    """
    if not inputs:
        return None
    if code == _DEQUANTIZE:
        return _dequantized(inputs[0])
    if code == _SHAPE:
        return np.array(inputs[0].shape, np.int64)
    values: list[Integers] = []
    for tensor in inputs:
        if tensor.data is None or tensor.dtype not in _INTEGERS or tensor.elements > _MOST_ELEMENTS:
            return None
        values.append(tensor.data.astype(np.int64))
    return _SHAPE_ARITHMETIC[code](options, values) if code in _SHAPE_ARITHMETIC else None


def _dequantized(weights: Tensor) -> Array | None:
    """scale * (q - zero point), rounded once to float32; float16 was read as float32 already."""
    if weights.data is None or weights.dtype is DType.FLOAT32:
        return weights.data
    quantization = weights.quantization
    if weights.dtype is not DType.INT8 or quantization is None:
        return None
    along = [1] * len(weights.shape)
    if quantization.is_per_channel:
        axis = quantization.axis
        if not 0 <= axis < len(along) or weights.shape[axis] != len(quantization.scales):
            return None
        along[axis] = -1
    zero_points = quantization.zero_points.astype(np.float32).reshape(along)
    steps = weights.data.astype(np.float32) - zero_points
    return np.asarray(steps * quantization.scales.reshape(along), np.float32)


def _number(options: Table | None, slot: int) -> int:
    return int(options.scalar(slot, "<i")) if options else 0


def _strided_slice(options: Table | None, values: list[Integers]) -> Integers | None:
    """x[begin:end:stride] of a vector."""
    x, *bounds = values
    if x.ndim != 1 or [bound.shape for bound in bounds] != [(1,)] * 3:
        return None
    begin_mask, end_mask, ellipsis, new_axis, shrink = (_number(options, i) for i in range(5))
    begin, end, stride = (int(bound[0]) for bound in bounds)
    if ellipsis or new_axis or stride == 0:
        return None
    if shrink:
        return np.asarray(x[begin]) if -len(x) <= begin < len(x) else None
    return x[slice(None if begin_mask else begin, None if end_mask else end, stride)]


def _pack(options: Table | None, values: list[Integers]) -> Integers | None:
    """Scalars joined to a vector."""
    if any(value.ndim for value in values):
        return None
    return np.stack(values)


def _gather(options: Table | None, values: list[Integers]) -> Integers | None:
    """The elements of a vector at some indices."""
    if len(values) != 2 or values[0].ndim != 1:
        return None
    x, indices = values
    if np.any(indices < 0) or np.any(indices >= len(x)):
        return None
    return np.asarray(x[indices])


def _reduce_prod(options: Table | None, values: list[Integers]) -> Integers | None:
    """The product of a vector."""
    if len(values) != 2 or values[0].ndim != 1 or not np.isin(values[1], (0, -1)).all():
        return None
    keep_dims = bool(options and options.scalar(0, "<?", False))
    return np.asarray(np.prod(values[0], keepdims=keep_dims), np.int64)


def _concatenation(options: Table | None, values: list[Integers]) -> Integers | None:
    """Vectors joined."""
    return np.concatenate(values) if all(value.ndim == 1 for value in values) else None


_SHAPE_ARITHMETIC: dict[int, Callable[[Table | None, list[Integers]], Integers | None]] = {
    2: _concatenation,
    36: _gather,
    45: _strided_slice,
    81: _reduce_prod,
    83: _pack,
}
FOLDED = frozenset({_DEQUANTIZE, _SHAPE, *_SHAPE_ARITHMETIC})
