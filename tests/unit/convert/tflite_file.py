"""TFLite files written by hand, as other converters write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


class File:
    """A TFLite model written by hand: tensors and operators in the order they are added."""

    def __init__(self) -> None:
        self.buffers = [schema.BufferT()]
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        self.codes: list[int] = []

    def tensor(
        self,
        shape: Sequence[int],
        data: np.ndarray | None = None,
        *,
        kind: int = 2,
        signature: Sequence[int] | None = None,
        quantization: Any = None,
    ) -> int:
        if data is not None:
            self.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        self.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                shapeSignature=None if signature is None else np.array(signature, np.int32),
                type=kind,
                buffer=0 if data is None else len(self.buffers) - 1,
                name=f"t{len(self.tensors)}",
                quantization=quantization,
            )
        )
        return len(self.tensors) - 1

    def ints(self, *values: int) -> int:
        return self.tensor([len(values)], np.array(values, np.int32))

    def scalar(self, value: int) -> int:
        return self.tensor([], np.array(value, np.int32))

    def op(self, code: int, inputs: Sequence[int], shape: Sequence[int], **more: Any) -> int:
        options = more.pop("options", None)
        union = getattr(schema.BuiltinOptions, type(options).__name__[:-1]) if options else 0
        output = self.tensor(shape, **more)
        self.codes.append(code)
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=len(self.codes) - 1,
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=union,
                builtinOptions=options,
            )
        )
        return output

    def data(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        subgraph = schema.SubGraphT(
            tensors=self.tensors,
            inputs=np.array(inputs, np.int32),
            outputs=np.array(outputs, np.int32),
            operators=self.operators,
        )
        codes = [
            schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=min(code, 127))
            for code in self.codes
        ]
        model = schema.ModelT(
            version=3, operatorCodes=codes, subgraphs=[subgraph], buffers=self.buffers
        )
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())
