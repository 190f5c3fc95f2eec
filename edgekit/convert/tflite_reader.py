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
from edgekit.convert import tflite_tensors as tensors
from edgekit.convert.tflite_dilations import BATCH_TO_SPACE, SPACE_TO_BATCH, merge_dilations
from edgekit.convert.tflite_flatbuffer import Flatbuffer, Table, damaged
from edgekit.convert.tflite_fold import FOLDED, fold
from edgekit.convert.tflite_options import OPS_BY_CODE, decode, option_values
from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph.ir import Array, DType, Graph, Node, Tensor
from edgekit.graph.ops import TFLITE_NAMES, DepthwiseConv2D, Op, Opaque, PadV2, Reshape
from edgekit.graph.shapes import infer
from edgekit.graph.verify import MAX_TENSOR_BYTES, verify

_CUSTOM = 32
# Refused only if they are not part of a dilated convolution.
_BY_WAY_OF_THE_BATCH = (SPACE_TO_BATCH, BATCH_TO_SPACE)
_FOLDED_TYPES = (DType.INT32, DType.INT64, DType.FLOAT32)


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
        if model.count(2) == 0:
            raise UnsupportedError("The model has 0 subgraphs; edgekit reads one.")
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
            tensors.check_static(self._tensor_tables[index], tensor)
        operators = enumerate(self._subgraph.tables(3))
        nodes = tuple(self._node(i, table) for i, table in operators if not self._fold(i, table))
        if self._model.count(2) > 1:  # said last: the loop that needs the others says more
            count = self._model.count(2)
            raise UnsupportedError(f"The model has {count} subgraphs; edgekit reads one.")
        outputs = self._tensors_at(self._subgraph.numbers(2, "<i4"))
        graph = Graph(
            name=self._subgraph.text(4) or "main",
            # In the file's order, which TFLite Micro's memory planner breaks ties by.
            tensors={tensor.name: tensor for _, tensor in sorted(self._tensors.items())},
            nodes=nodes,
            inputs=tuple(tensor.name for tensor in inputs),
            outputs=tuple(tensor.name for tensor in outputs),
        )
        graph = merge_dilations(graph.with_nodes(nodes, graph.tensors))
        if not self._allow_opaque:
            _require_merged(graph)
        return graph

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
        shape = tuple(int(size) for size in table.numbers(0, "<i4")[: tensors.MAX_RANK + 1])
        if len(shape) > tensors.MAX_RANK:
            raise UnsupportedError(f"Tensor '{name}' has more than {tensors.MAX_RANK} dimensions.")
        if any(size < 0 for size in shape):
            raise UnsupportedError(f"Tensor '{name}' has the dynamic shape {list(shape)}.")
        dtype = tensors.element_type(name, table)
        # Zeros count as one: NumPy refuses a product of the others that overflows.
        if prod(max(size, 1) for size in shape) * dtype.item_bytes > MAX_TENSOR_BYTES:
            raise InputError(f"Tensor '{name}' {list(shape)} is larger than 2 GiB.")
        if table.scalar(5, "<?", False):
            raise UnsupportedError(f"Tensor '{name}' is a variable that keeps its value.")
        if table.has(6):
            raise UnsupportedError(f"Tensor '{name}' is stored sparse.")
        tensor = Tensor(name, shape, dtype, tensors.quantization(name, dtype, table.table(4)))
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
        index, half = table.scalar(2, "<I"), tensors.is_half(table)
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
            if half:
                raise UnsupportedError(f"Tensor '{tensor.name}' is computed in float16.")
            return None
        stored = np.dtype("<f2") if half else tensor.dtype.numpy.newbyteorder("<")
        needed_bytes = tensor.elements * stored.itemsize
        if raw.size != needed_bytes:
            raise damaged(
                f"tensor '{tensor.name}' needs {needed_bytes} bytes, its buffer has {raw.size}"
            )
        data: Array = raw.view(stored).reshape(tensor.shape)
        if tensor.dtype is DType.FLOAT32 or not data.flags.aligned:
            self._file.charge(tensor.size_bytes)  # it will be searched for NaN, or is copied
        if half:
            return data.astype(np.float32)
        return data if data.flags.aligned else data.copy()

    def _fold(self, index: int, table: Table) -> bool:
        """Give the operator's output its value if it is known before the network runs."""
        code = self._code(index, table)
        outputs = table.numbers(2, "<i4")
        if code not in FOLDED or len(outputs) != 1:
            return False
        inputs = self._tensors_at(table.numbers(1, "<i4"))
        output = self._tensor(int(outputs[0]))
        value = fold(code, table.table(4), inputs)
        if value is None or value.shape != output.shape or output.dtype not in _FOLDED_TYPES:
            return False
        self._file.charge(0 if value is inputs[0].data else value.size)
        self._tensors[int(outputs[0])] = replace(
            output, data=value.astype(output.dtype.numpy, copy=False)
        )
        return True

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
        self._infer(table.numbers(2, "<i4"), op, inputs)
        # Verifying looks at every scale of every node's weights, and at its bias.
        scales = sum(len(t.quantization.scales) for t in inputs if t.quantization)
        bias = sum(t.elements for t in inputs[2:] if t.dtype is DType.INT32)
        self._file.charge(4 * (scales + bias))
        if isinstance(op, PadV2) and len(given) == 3:
            self._make_finite(given[2])
        if isinstance(op, DepthwiseConv2D):
            _check_multiplier(name, table, inputs)
        if isinstance(op, Reshape) and len(inputs) == 2 and len(inputs[1].shape) != 1:
            # TensorFlow 1 wrote matrices, which kernels leave unread: the output says the shape.
            inputs = inputs[:1]
        return Node(name, op, tuple(t.name for t in inputs), tuple(t.name for t in outputs))

    def _infer(self, indices: Array, op: Op, inputs: tuple[Tensor, ...]) -> None:
        """Give the outputs of a free shape the one that follows from the inputs."""
        if not any(tensors.is_dynamic(self._tensor_tables[index]) for index in indices):
            return
        try:
            shapes = infer(op, inputs)
        except EdgekitError:
            return  # verifying says what is wrong, and where
        for index, shape in zip(indices, shapes, strict=False):
            self._tensors[int(index)] = replace(self._tensors[int(index)], shape=shape)

    def _make_finite(self, index: int) -> None:
        """Pad with the lowest float instead of -infinity: max pools, which need it, clamp to it."""
        tensor = self._tensor(index)
        if tensor.data is not None and tensor.dtype is DType.FLOAT32 and tensor.elements == 1:
            limits = np.finfo(np.float32)
            data = np.clip(tensor.data, limits.min, limits.max)
            self._tensors[index] = replace(tensor, data=data)

    def _entry(self, index: int, table: Table) -> Table:
        """The operator code an operator refers to."""
        number = table.scalar(0, "<I")
        if number >= len(self._codes):
            raise damaged(f"operator {index} has code {number} of {len(self._codes)}")
        return self._codes[int(number)]

    def _code(self, index: int, table: Table) -> int:
        """The BuiltinOperator number; above 127 it does not fit the older field, which has 127."""
        entry = self._entry(index, table)
        return int(max(entry.scalar(0, "<b"), entry.scalar(3, "<i")))

    def _op(self, index: int, name: str, table: Table) -> Op:
        code = self._code(index, table)
        if code not in OPS_BY_CODE:
            custom = self._entry(index, table).text(1) if code == _CUSTOM else ""
            op = Opaque(custom or _builtin_name(code), code)
            if self._allow_opaque or code in _BY_WAY_OF_THE_BATCH:
                return op
            raise UnsupportedError(
                f"Operator {index}, {op.tflite_name}, which writes '{name}', is not supported.",
                hint=f"edgekit computes {', '.join(sorted(TFLITE_NAMES.values()))}.",
            )
        try:
            return decode(OPS_BY_CODE[code], option_values(OPS_BY_CODE[code], table))
        except EdgekitError as error:
            op_name = TFLITE_NAMES[OPS_BY_CODE[code]]
            raise type(error)(
                f"Operator {index}, {op_name}, which writes '{name}': {error}."
            ) from None


def _require_merged(graph: Graph) -> None:
    """Refuse what goes by way of the batch and is no dilated convolution."""
    for node in graph.nodes:
        if isinstance(node.op, Opaque):
            raise UnsupportedError(
                f"{node.op.tflite_name}, which writes '{node.name}', is not supported.",
                hint="edgekit takes it only around a CONV_2D or DEPTHWISE_CONV_2D of stride 1, "
                "which together are a dilated convolution.",
            )


def _check_multiplier(name: str, table: Table, inputs: tuple[Tensor, ...]) -> None:
    """Some runtimes compute with the multiplier in the options, others with the shapes."""
    given = option_values(DepthwiseConv2D, table)["depthMultiplier"]
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
