"""What a TFLite file says about one tensor: its element type, quantization and free dimensions.

A tensor's table enters; plain values leave. Refused by name: element types, quantizations and
dynamic inputs that edgekit does not compute.
"""

from __future__ import annotations

import numpy as np

from edgekit.convert.tflite_flatbuffer import Table
from edgekit.convert.tflite_options import TENSOR_TYPES
from edgekit.errors import UnsupportedError
from edgekit.graph.ir import DType, Quantization, Tensor

MAX_RANK = 8
_FLOAT16 = 1
# The schema's TensorType, in order, to name what is refused.
# fmt: off
_TYPE_NAMES = (
    "FLOAT32", "FLOAT16", "INT32", "UINT8", "INT64", "STRING", "BOOL", "INT16", "COMPLEX64", "INT8",
    "FLOAT64", "COMPLEX128", "UINT64", "RESOURCE", "VARIANT", "UINT32", "UINT16", "INT4",
    "BFLOAT16", "INT2", "UINT4",
)
# fmt: on
# Element types whose scale means something; elsewhere converters leave empty or stray ones.
_QUANTIZED_TYPES = (DType.INT8, DType.UINT8, DType.INT16, DType.INT32)


def check_static(table: Table, tensor: Tensor) -> None:
    """Only the batch, which the shape gives as 1, may be left open."""
    signature = table.numbers(7, "<i4")
    if np.any(signature[1:] < 0):
        raise UnsupportedError(
            f"Input '{tensor.name}' has the dynamic shape {signature[:MAX_RANK].tolist()}.",
            hint="Convert the model again with a fixed input shape.",
        )


def is_dynamic(table: Table) -> bool:
    """Whether the shape is known to the runtime only; what the file says then means nothing."""
    return bool(np.any(table.numbers(7, "<i4") < 0))


def is_half(table: Table) -> bool:
    """Whether the elements are float16, which only constants may be: they are read as float32."""
    return bool(table.scalar(1, "<b") == _FLOAT16)


def element_type(name: str, table: Table) -> DType:
    """The type the tensor has in the graph.

    Raises:
        UnsupportedError: one that edgekit does not compute.
    """
    if is_half(table):
        return DType.FLOAT32
    number = table.scalar(1, "<b")
    if number not in TENSOR_TYPES:
        known = 0 <= number < len(_TYPE_NAMES)
        raise UnsupportedError(
            f"Tensor '{name}' has elements of type {_TYPE_NAMES[number] if known else number}.",
            hint="edgekit reads float32, int8 and uint8 models.",
        )
    return TENSOR_TYPES[number]


def quantization(name: str, dtype: DType, table: Table | None) -> Quantization | None:
    """What the tensor's quantization table says; None where it says nothing of meaning.

    Raises:
        UnsupportedError: neither per tensor nor per channel.
    """
    if table is None or dtype not in _QUANTIZED_TYPES:
        return None
    if table.scalar(4, "<B") != 0:
        raise UnsupportedError(f"Tensor '{name}' has a custom or blockwise quantization.")
    scales, zero_points = table.numbers(2, "<f4"), table.numbers(3, "<i8")
    if scales.size == 0:
        return None
    if zero_points.size == 0:
        zero_points = np.zeros(scales.size, np.int64)
    # Copies: the vectors may lie on odd addresses, and are small.
    axis = table.scalar(6, "<i") if scales.size > 1 else 0
    return Quantization(scales.astype(np.float32), zero_points.astype(np.int64), axis)
