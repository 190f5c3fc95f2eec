"""The version number an operator needs, as TFLite's own converter sets it.

A runtime refuses a model whose operator version it does not know, so the number must be right: too
low and an old kernel may read the op wrongly, too high and a runtime that could run it refuses.
Source: TensorFlow, lite/tools/versioning/op_version.cc.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.graph import ops
from edgekit.graph.ir import DType, Tensor
from edgekit.graph.ops import Op

_ALWAYS_1 = (ops.Reshape, ops.Squeeze, ops.ExpandDims, ops.HardSwish)


def operator_version(op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """The lowest version of the operator that covers these tensors."""
    data = inputs[1] if isinstance(op, ops.Split) else inputs[0]
    int8 = data.dtype is DType.INT8
    special = _special(op, data, inputs, outputs)
    if special is not None:
        return special
    if isinstance(op, _ALWAYS_1):
        return 1
    if isinstance(op, (ops.Conv2D, ops.DepthwiseConv2D)):
        return 3 if int8 else 1
    if isinstance(op, ops.FullyConnected):
        return 4 if int8 else 1
    if isinstance(op, ops.Relu):
        return 2 if data.dtype in (DType.INT8, DType.UINT8) else 1
    return 2 if int8 else 1


def _special(
    op: Op, data: Tensor, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> int | None:
    """Versions that follow from something other than the element type; None: nothing special."""
    match op:
        case ops.Conv2D() if data.shape[3] != inputs[1].shape[3]:
            return 6  # grouped
        case ops.DepthwiseConv2D() if op.dilation != (1, 1) and data.dtype is not DType.INT8:
            return 2
        case ops.FullyConnected() if len(inputs) == 2:
            return 6
        case ops.FullyConnected() if op.keep_dims:
            return 5
        case ops.Mul() if _rescale_of_mul(inputs, outputs) >= 1:
            return 3
        case ops.Sub() if inputs[0].shape != inputs[1].shape and _max_rank(inputs) > 4:
            return 3
        case ops.Transpose() if len(data.shape) > 4:
            return 6 if len(data.shape) > 5 else 4
        case ops.Pad() | ops.PadV2() if len(data.shape) > 4:
            return 4
        case ops.Split() if data.dtype is DType.INT32:
            return 3
        case ops.Dequantize() if data.dtype is DType.INT16:
            return 3
        case ops.Quantize():
            return 2 if outputs[0].dtype is DType.INT16 else 1
    return None


def _rescale_of_mul(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> float:
    """input1 scale * input2 scale / output scale; 0 for float."""
    a, b, y = (tensor.quantization for tensor in (*inputs, *outputs))
    return a.scale * b.scale / y.scale if a and b and y else 0.0


def _max_rank(tensors: Sequence[Tensor]) -> int:
    """The largest number of dimensions."""
    return max(len(tensor.shape) for tensor in tensors)
