"""TFLite flatbuffer -> Graph.

The bytes of a model enter, made by edgekit or by anybody else: float, int8, or the older uint8. A
verified graph leaves. Refused by name: ops, element types and features that edgekit does not
compute. Damaged or hostile files give an InputError soon and in little memory (see
`tflite_flatbuffer`). Constants are views of the file's bytes.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from edgekit.convert import tflite_offline
from edgekit.convert.tflite_flatbuffer import Flatbuffer, Table, damaged
from edgekit.convert.tflite_options import OPS_BY_CODE, ROWS, TENSOR_TYPES, Kind, Value, decode
from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph.ir import Array, DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import TFLITE_NAMES, DepthwiseConv2D, Op, Opaque
from edgekit.graph.verify import MAX_TENSOR_BYTES, verify

_CUSTOM = 32
_MAX_RANK = 8
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


def read(data: bytes, *, allow_opaque: bool = False) -> Graph:
    """The graph of a TFLite model.

    Node names are those of their first outputs, as the format has none. A leading -1 in an input's
    shape signature (any batch) is read as the 1 that the shape says. A name that is missing or
    taken is made unique with the tensor's number.

    Args:
        data: the file's bytes.
        allow_opaque: keep ops that edgekit does not know as `Opaque`, to judge but not to compute.

    Raises:
        InputError: not a TFLite model, damaged, or invalid.
        UnsupportedError: well formed, but with something edgekit does not compute.
    """
    if not data:
        raise InputError("The model file is empty.")
    graph = _Reader(Flatbuffer(data), allow_opaque).graph()
    verify(graph)
    return graph


def read_offsets(data: bytes) -> dict[str, int]:
    """TFLite Micro's offline memory plan in a model, by tensor name; empty if it has none.

    Raises:
        InputError: as `read`, or the plan does not fit the model.
        UnsupportedError: as `read`, where opaque ops are allowed.
    """
    reader = _Reader(Flatbuffer(data), allow_opaque=True)
    reader.graph()
    return reader.offsets()


class _Reader:
    """One file being read; slots are the schema's field numbers."""

    def __init__(self, file: Flatbuffer, allow_opaque: bool) -> None:
        self._file = file
        self._allow_opaque = allow_opaque
        model = file.root(b"TFL3")
        if model.scalar(0, "<I") != 3:
            raise UnsupportedError(f"TFLite schema version {model.scalar(0, '<I')} is not 3.")
        if model.count(2) != 1:
            raise UnsupportedError(f"The model has {model.count(2)} subgraphs; edgekit reads one.")
        self._model = model
        self._subgraph = next(model.tables(2))
        self._codes = list(model.tables(1))
        self._buffers = list(model.tables(4))
        self._tensor_tables = list(self._subgraph.tables(0))
        self._tensors: dict[int, Tensor] = {}
        self._names: set[str] = set()

    def graph(self) -> Graph:
        """The graph, not yet verified."""
        indices = self._subgraph.numbers(1, "<i4")
        inputs = self._tensors_at(indices)
        for index, tensor in zip(indices, inputs, strict=True):
            _check_static(self._tensor_tables[index], tensor)
        nodes = tuple(self._node(i, table) for i, table in enumerate(self._subgraph.tables(3)))
        outputs = self._tensors_at(self._subgraph.numbers(2, "<i4"))
        return Graph(
            name=self._subgraph.text(4) or "main",
            # In the file's order, which TFLite Micro's memory planner breaks ties by.
            tensors={tensor.name: tensor for _, tensor in sorted(self._tensors.items())},
            nodes=nodes,
            inputs=tuple(tensor.name for tensor in inputs),
            outputs=tuple(tensor.name for tensor in outputs),
        )

    def offsets(self) -> dict[str, int]:
        """The offline memory plan, by names of tensors that the graph mentions."""
        found: dict[str, int] = {}
        for entry in self._model.tables(6):
            if entry.text(0) != tflite_offline.METADATA_NAME:
                continue
            index = entry.scalar(1, "<I")
            if index >= len(self._buffers):
                raise damaged(f"its memory plan is buffer {index} of {len(self._buffers)}")
            raw = self._buffers[index].numbers(0, np.uint8)
            numbers = raw[: raw.size // 4 * 4].copy().view("<i4")
            offsets = tflite_offline.decode(numbers, len(self._tensor_tables))
            planned = ((tensor.name, offsets[i]) for i, tensor in sorted(self._tensors.items()))
            found = {name: offset for name, offset in planned if offset is not None}
        return found

    def _tensors_at(self, indices: Array) -> tuple[Tensor, ...]:
        return tuple(self._tensor(int(index)) for index in indices)

    def _tensor(self, index: int) -> Tensor:
        if index not in self._tensors:
            if not 0 <= index < len(self._tensor_tables):
                raise damaged(f"it mentions tensor {index} of {len(self._tensor_tables)}")
            self._tensors[index] = self._read_tensor(index, self._tensor_tables[index])
        return self._tensors[index]

    def _read_tensor(self, index: int, table: Table) -> Tensor:
        name = self._unique_name(table.text(3), index)
        shape = tuple(int(size) for size in table.numbers(0, "<i4")[: _MAX_RANK + 1])
        if len(shape) > _MAX_RANK:
            raise UnsupportedError(f"Tensor '{name}' has more than {_MAX_RANK} dimensions.")
        if any(size < 0 for size in shape):
            raise UnsupportedError(f"Tensor '{name}' has the dynamic shape {list(shape)}.")
        dtype = _element_type(name, table)
        # Zeros count as one: NumPy refuses a product of the others that overflows.
        if prod(max(size, 1) for size in shape) * dtype.item_bytes > MAX_TENSOR_BYTES:
            raise InputError(f"Tensor '{name}' {list(shape)} is larger than 2 GiB.")
        if table.scalar(5, "<?", False):
            raise UnsupportedError(f"Tensor '{name}' is a variable that keeps its value.")
        if table.has(6):
            raise UnsupportedError(f"Tensor '{name}' is stored sparse.")
        tensor = Tensor(name, shape, dtype, _quantization(name, dtype, table.table(4)))
        return replace(tensor, data=self._constant(tensor, table))

    def _unique_name(self, name: str, index: int) -> str:
        name = name or f"tensor_{index}"
        if name in self._names:
            name = f"{name}#{index}"
        while name in self._names:
            name += "#"
        self._names.add(name)
        return name

    def _constant(self, tensor: Tensor, table: Table) -> Array | None:
        """The tensor's value in the file; None for an activation."""
        index = table.scalar(2, "<I")
        if index >= len(self._buffers):
            raise damaged(f"tensor '{tensor.name}' has buffer {index} of {len(self._buffers)}")
        buffer = self._buffers[index]
        outside = max(buffer.scalar(1, "<Q"), buffer.scalar(2, "<Q"), table.scalar(10, "<I"))
        if outside > 1:
            raise UnsupportedError(
                f"The value of tensor '{tensor.name}' is stored outside of the flatbuffer.",
                hint="Convert the model again with all its weights inside.",
            )
        raw = buffer.view(0)
        if raw.size == 0 and tensor.elements > 0:
            return None
        if raw.size != tensor.size_bytes:
            raise damaged(
                f"tensor '{tensor.name}' needs {tensor.size_bytes} bytes, its buffer has {raw.size}"
            )
        data: Array = raw.view(tensor.dtype.numpy.newbyteorder("<")).reshape(tensor.shape)
        if tensor.dtype is DType.FLOAT32 or not data.flags.aligned:
            self._file.charge(data.nbytes)  # it will be searched for NaN, or is copied
        return data if data.flags.aligned else data.copy()

    def _node(self, index: int, table: Table) -> Node:
        outputs = self._tensors_at(table.numbers(2, "<i4"))
        if not outputs:
            raise damaged(f"operator {index} has no output")
        name = outputs[0].name
        op = self._op(index, name, table)
        given = [int(i) for i in table.numbers(1, "<i4")]
        while given and given[-1] == -1:  # an optional input that is not there
            given.pop()
        if isinstance(op, Opaque):
            given = [i for i in given if i != -1]
        inputs = tuple(self._tensor(i) for i in given)
        # Verifying looks at every scale of every node's weights.
        scales = sum(len(t.quantization.scales) for t in inputs if t.quantization)
        self._file.charge(4 * scales)
        if isinstance(op, DepthwiseConv2D):
            _check_multiplier(name, table, inputs)
        return Node(name, op, tuple(t.name for t in inputs), tuple(t.name for t in outputs))

    def _op(self, index: int, name: str, table: Table) -> Op:
        number = table.scalar(0, "<I")
        if number >= len(self._codes):
            raise damaged(f"operator {index} has code {number} of {len(self._codes)}")
        entry = self._codes[number]
        # Numbers above 127 do not fit the older field, which then holds 127.
        code = max(entry.scalar(0, "<b"), entry.scalar(3, "<i"))
        if code not in OPS_BY_CODE:
            op = Opaque(entry.text(1) if code == _CUSTOM else _builtin_name(code), code)
            if self._allow_opaque:
                return op
            raise UnsupportedError(
                f"Operator {index}, {op.tflite_name}, which writes '{name}', is not supported.",
                hint=f"edgekit computes {', '.join(sorted(TFLITE_NAMES.values()))}.",
            )
        try:
            return decode(OPS_BY_CODE[code], _option_values(OPS_BY_CODE[code], table))
        except EdgekitError as error:
            op_name = TFLITE_NAMES[OPS_BY_CODE[code]]
            raise type(error)(
                f"Operator {index}, {op_name}, which writes '{name}': {error}."
            ) from None


def _check_static(table: Table, tensor: Tensor) -> None:
    """Only the batch, which the shape gives as 1, may be left open."""
    signature = table.numbers(7, "<i4")
    if np.any(signature[1:] < 0):
        raise UnsupportedError(
            f"Input '{tensor.name}' has the dynamic shape {signature[:_MAX_RANK].tolist()}.",
            hint="Convert the model again with a fixed input shape.",
        )


def _element_type(name: str, table: Table) -> DType:
    number = table.scalar(1, "<b")
    if number not in TENSOR_TYPES:
        known = 0 <= number < len(_TYPE_NAMES)
        raise UnsupportedError(
            f"Tensor '{name}' has elements of type {_TYPE_NAMES[number] if known else number}.",
            hint="edgekit reads float32, int8 and uint8 models.",
        )
    return TENSOR_TYPES[number]


def _quantization(name: str, dtype: DType, table: Table | None) -> Quantization | None:
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


def _option_values(kind: type[Op], table: Table) -> dict[str, Value]:
    """The fields of the node's options table; defaults where there is no table."""
    row = ROWS[kind]
    union, options = table.scalar(3, "<B"), table.table(4)
    if options is not None and row.fields and union != row.union:
        raise InputError(f"its options are of kind {union}, not {row.union} ({row.table})")
    values: dict[str, Value] = {}
    for field in row.fields:
        if options is None:
            values[field.name] = () if field.kind is Kind.INTS else field.default
        elif field.kind is Kind.INTS:
            values[field.name] = tuple(int(v) for v in options.numbers(field.slot, "<i4"))
        else:
            values[field.name] = options.scalar(field.slot, field.kind.value, field.default)
    return values


def _check_multiplier(name: str, table: Table, inputs: tuple[Tensor, ...]) -> None:
    """Some runtimes compute with the multiplier in the options, others with the shapes."""
    given = _option_values(DepthwiseConv2D, table)["depthMultiplier"]
    shapes = [tensor.shape[-1] for tensor in inputs[:2] if len(tensor.shape) == 4]
    if given != 0 and len(shapes) == 2 and given * shapes[0] != shapes[1]:
        raise InputError(
            f"DEPTHWISE_CONV_2D, which writes '{name}', has the depth multiplier {given}, "
            f"but {shapes[0]} input and {shapes[1]} output channels."
        )


def _builtin_name(code: int) -> str:
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    names = {number: name for name, number in vars(BuiltinOperator).items() if name[0] != "_"}
    return str(names.get(code, f"BUILTIN_{code}"))
