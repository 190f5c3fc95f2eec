"""Graph -> TFLite flatbuffer.

A float or integer graph enters; the bytes of a model leave that LiteRT, TFLite Micro and the Edge
TPU compiler read. Same graph, same bytes. All weights are inside the flatbuffer, on 16-byte
boundaries of the file, each distinct constant stored once. Refused: a graph with opaque ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.convert import tflite_offline
from edgekit.convert.tflite_options import ROWS, TENSOR_TYPES, encode
from edgekit.convert.tflite_versions import operator_version
from edgekit.errors import UnsupportedError
from edgekit.graph.ir import Array, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Op, Opaque

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
DATA_ALIGNMENT = 16
_TYPE_NUMBERS = {dtype: number for number, dtype in TENSOR_TYPES.items()}
# Operators above this number do not fit the byte that runtimes before 2.4 read.
_LAST_DEPRECATED_CODE = 127


def write(graph: Graph, offsets: Mapping[str, int] | None = None) -> bytes:
    """The graph as a TFLite model.

    Tensor names are kept; node names are not, as the format has no place for them. Tensors are
    numbered in order of first mention (graph inputs, then node by node).

    Args:
        graph: float or integer.
        offsets: where TFLite Micro shall place activations in its arena, by tensor name, in bytes
            (`plan.offline`); it places those left out by itself. Other runtimes ignore them.

    Raises:
        UnsupportedError: the graph holds an op that was read without being understood.
    """
    # Importing the generated schema takes a moment, and only writing needs it.
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = _Model(schema, graph, offsets or {})
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.table().Pack(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


class _AlignedBuffer:
    """The schema's Buffer with its data on a 16-byte boundary, which `BufferT.Pack` forgets."""

    def __init__(self, schema: Any, data: bytes) -> None:
        self._schema = schema
        self._data = data

    def Pack(self, builder: Any) -> int:  # noqa: N802 (the object API's name)
        """Append the table; returns its offset."""
        vector = None
        if self._data:
            builder.StartVector(1, len(self._data), DATA_ALIGNMENT)
            builder.head -= len(self._data)
            builder.Bytes[builder.head : builder.head + len(self._data)] = self._data
            builder.vectorNumElems = len(self._data)
            vector = builder.EndVector()
        self._schema.BufferStart(builder)
        if vector is not None:
            self._schema.BufferAddData(builder, vector)
        return int(self._schema.BufferEnd(builder))


class _Model:
    """The object API's tables of one graph."""

    def __init__(self, schema: Any, graph: Graph, offsets: Mapping[str, int]) -> None:
        self._schema = schema
        self._graph = graph
        self._offsets = offsets
        self._tensors = _in_order_of_mention(graph)
        self._index = {tensor.name: i for i, tensor in enumerate(self._tensors)}
        self._buffers: dict[bytes, int] = {b"": 0}
        self._versions = _operator_versions(graph)
        self._opcodes = {kind: i for i, kind in enumerate(self._versions)}

    def table(self) -> Any:
        """The root table."""
        tensors = [self._tensor(tensor) for tensor in self._tensors]
        subgraph = self._schema.SubGraphT(
            tensors=tensors,
            inputs=self._indices(self._graph.inputs),
            outputs=self._indices(self._graph.outputs),
            operators=[self._operator(node) for node in self._graph.nodes],
            name=self._graph.name,
        )
        metadata = [self._offline_plan()] if self._offsets else None
        return self._schema.ModelT(
            version=SCHEMA_VERSION,
            description="edgekit",
            operatorCodes=[self._operator_code(kind) for kind in self._versions],
            subgraphs=[subgraph],
            buffers=[_AlignedBuffer(self._schema, data) for data in self._buffers],
            signatureDefs=[self._signature()],
            metadata=metadata,
        )

    def _offline_plan(self) -> Any:
        """TFLite Micro's memory plan as metadata."""
        plan = tflite_offline.encode([self._offsets.get(tensor.name) for tensor in self._tensors])
        return self._schema.MetadataT(name=tflite_offline.METADATA_NAME, buffer=self._buffer(plan))

    def _indices(self, names: tuple[str, ...]) -> Array:
        return np.array([self._index[name] for name in names], np.int32)

    def _tensor(self, tensor: Tensor) -> Any:
        return self._schema.TensorT(
            shape=np.array(tensor.shape, np.int32),
            type=_TYPE_NUMBERS[tensor.dtype],
            buffer=0 if tensor.data is None else self._buffer(tensor.data),
            name=tensor.name,
            quantization=self._quantization(tensor.quantization),
        )

    def _buffer(self, data: Array) -> int:
        """Index of the buffer with these bytes (little-endian, row-major), a new one if need be."""
        stored = data.astype(data.dtype.newbyteorder("<")).tobytes()
        return self._buffers.setdefault(stored, len(self._buffers))

    def _quantization(self, quantization: Quantization | None) -> Any:
        if quantization is None:
            return None
        return self._schema.QuantizationParametersT(
            scale=np.asarray(quantization.scales, "<f4"),
            zeroPoint=np.asarray(quantization.zero_points, "<i8"),
            quantizedDimension=quantization.axis,
        )

    def _operator(self, node: Node) -> Any:
        inputs, outputs = self._graph.inputs_of(node), self._graph.outputs_of(node)
        row = ROWS[type(node.op)]
        options = None
        if row.table:
            table = getattr(self._schema, row.table + "T")
            options = table(**encode(node.op, inputs, outputs))
        return self._schema.OperatorT(
            opcodeIndex=self._opcodes[type(node.op)],
            inputs=self._indices(node.inputs),
            outputs=self._indices(node.outputs),
            builtinOptionsType=row.union,
            builtinOptions=options,
        )

    def _operator_code(self, kind: type[Op]) -> Any:
        code = ROWS[kind].code
        return self._schema.OperatorCodeT(
            deprecatedBuiltinCode=min(code, _LAST_DEPRECATED_CODE),
            builtinCode=code,
            version=self._versions[kind],
        )

    def _signature(self) -> Any:
        """The border by name, for runtimes that call models so."""
        maps = [
            [self._schema.TensorMapT(name=name, tensorIndex=self._index[name]) for name in names]
            for names in (self._graph.inputs, self._graph.outputs)
        ]
        return self._schema.SignatureDefT(
            inputs=maps[0], outputs=maps[1], signatureKey="serving_default", subgraphIndex=0
        )


def _in_order_of_mention(graph: Graph) -> list[Tensor]:
    names = list(graph.inputs)
    for node in graph.nodes:
        names += [*node.inputs, *node.outputs]
    return [graph.tensors[name] for name in dict.fromkeys([*names, *graph.outputs])]


def _operator_versions(graph: Graph) -> dict[type[Op], int]:
    """One operator code an op, with the highest version any of its nodes needs."""
    versions: dict[type[Op], int] = {}
    for node in graph.nodes:
        if isinstance(node.op, Opaque):
            raise UnsupportedError(
                f"Node '{node.name}' is {node.op.tflite_name}, which edgekit cannot write.",
                hint="Only models made of ops that edgekit understands can be written.",
            )
        version = operator_version(node.op, graph.inputs_of(node), graph.outputs_of(node))
        versions[type(node.op)] = max(version, versions.get(type(node.op), 1))
    return versions
