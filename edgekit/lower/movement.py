"""Ops that move values: reshape, join, split, pad, transpose; and the float border."""

from __future__ import annotations

from math import prod

from edgekit.graph.ir import DType, Tensor
from edgekit.graph.ops import (
    Concatenation,
    Dequantize,
    ExpandDims,
    Pad,
    PadV2,
    Quantize,
    Reshape,
    Split,
    Squeeze,
    Transpose,
)
from edgekit.graph.reference.call import EIGHT_BIT, Call
from edgekit.lower.elementwise import lookup
from edgekit.lower.program import Constant, Kernel, Step, Value
from edgekit.lower.strides import contiguous, padded


def view(op: Reshape | Squeeze | ExpandDims, call: Call) -> Step:
    """Nothing to do: the same bytes in another shape."""
    return Step(call.node, ())


def concatenation(op: Concatenation, call: Call) -> Step:
    """One copy an input."""
    if any(tensor.dtype is not DType.INT8 for tensor in call.inputs):
        raise call.refuse("has a C kernel for int8 only")
    axis = op.axis % len(call.output.shape)
    row_bytes = _row_bytes(call.output, axis)
    kernels, offset = [], 0
    for tensor in call.inputs:
        own = _row_bytes(tensor, axis)
        operand = tensor.name if tensor.data is None else Constant("values", tensor.data)
        parameters = _rows(tensor, axis, own, (0, own), (offset, row_bytes))
        kernels.append(Kernel("ek_copy_rows", "ek_copy", parameters, (operand,), call.node.outputs))
        offset += own
    return Step(call.node, tuple(kernels))


def split(op: Split, call: Call) -> Step:
    """One copy an output."""
    x = call.inputs[1]
    axis = int(call.values[0].reshape(-1)[0]) % len(x.shape)
    row_bytes = _row_bytes(x, axis)
    part = row_bytes // op.splits
    kernels = tuple(
        Kernel(
            "ek_copy_rows",
            "ek_copy",
            _rows(x, axis, part, (index * part, row_bytes), (0, part)),
            (x.name,),
            (output,),
        )
        for index, output in enumerate(call.node.outputs)
    )
    return Step(call.node, kernels)


def _row_bytes(tensor: Tensor, axis: int) -> int:
    """Bytes of the dimensions from the axis on."""
    return prod(tensor.shape[axis:]) * tensor.dtype.item_bytes


def _rows(
    tensor: Tensor, axis: int, row_bytes: int, source: tuple[int, int], target: tuple[int, int]
) -> dict[str, Value]:
    """The fields of a copy; source and target are (offset, stride) in bytes."""
    return {
        "rows": prod(tensor.shape[:axis]),
        "row_bytes": row_bytes,
        "input_offset": source[0],
        "input_stride": source[1],
        "output_offset": target[0],
        "output_stride": target[1],
    }


def pad(op: Pad | PadV2, call: Call) -> Step:
    """The step of a Pad with real 0, or of a PadV2 with a constant."""
    x, output = call.inputs[0], call.output
    if x.dtype not in EIGHT_BIT:
        raise call.refuse("has a C kernel for 8-bit values only")
    fill = call.values[2].reshape(-1)[0] if isinstance(op, PadV2) else call.per_tensor(output)[1]
    before = call.values[1].reshape(-1, 2)[:, 0]
    strides = contiguous(output.shape)
    kernel = Kernel(
        name="ek_pad_8",
        struct="ek_pad",
        parameters={
            "input_shape": padded(x.shape, 1),
            "output_strides": padded(strides, 0),
            "output_offset": sum(int(n) * step for n, step in zip(before, strides, strict=True)),
            "output_elements": output.elements,
            "fill": int(fill),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
    )
    return Step(call.node, (kernel,))


def transpose(op: Transpose, call: Call) -> Step:
    """The step of a Transpose."""
    x = call.inputs[0]
    if x.dtype not in EIGHT_BIT:
        raise call.refuse("has a C kernel for 8-bit values only")
    strides = contiguous(x.shape)
    permuted = [strides[int(axis)] for axis in call.values[1]]
    parameters = {"shape": padded(call.output.shape, 1), "strides": padded(permuted, 0)}
    kernel = Kernel("ek_transpose_8", "ek_transpose", parameters, (x.name,), call.node.outputs)
    return Step(call.node, (kernel,))


def quantize(op: Quantize, call: Call) -> Step:
    """The step of a Quantize: from float, or a table between 8-bit scales."""
    if call.inputs[0].dtype is not DType.FLOAT32:
        return lookup(op, call)
    if call.output.dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    return _border(call, call.output, "ek_quantize_f32_s8", "ek_quantize")


def dequantize(op: Dequantize, call: Call) -> Step:
    """The step of a Dequantize."""
    if call.inputs[0].dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    return _border(call, call.inputs[0], "ek_dequantize_s8_f32", "ek_dequantize")


def _border(call: Call, quantized: Tensor, name: str, struct: str) -> Step:
    scale, zero_point = call.per_tensor(quantized)
    parameters: dict[str, Value] = {
        "elements": quantized.elements,
        "scale": scale,
        "zero_point": zero_point,
    }
    return Step(call.node, (Kernel(name, struct, parameters, call.node.inputs, call.node.outputs),))
