"""ONNX models made by hand for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Values = npt.NDArray[Any]


def random(*shape: int, seed: int = 0) -> Values:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


class Onnx:
    """Collects nodes and constants; the last node's outputs leave the model.

    m = Onnx(x=(1, 3, 8, 8)); m.node("Conv", "x", random(4, 3, 3, 3), pads=[1, 1, 1, 1])
    """

    def __init__(self, opset: int = 17, **inputs: Sequence[int | str | None]) -> None:
        self.opset = opset
        self.inputs = inputs
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Values] = {}
        self.outputs: list[str] = []

    def node(self, kind: str, *operands: str | Values | None, outputs: int = 1, **a: Any) -> Any:
        """Add a node; arrays become initializers. Returns its output's name, or a list of them."""
        names = []
        for operand in operands:
            if isinstance(operand, str) or operand is None:
                names.append(operand or "")
                continue
            names.append(f"constant{len(self.constants)}")
            self.constants[names[-1]] = np.asarray(operand)
        made = [f"{kind.lower()}{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, f"node_{made[0]}", **a))
        self.outputs = made
        return made[0] if outputs == 1 else made

    def proto(self, outputs: Sequence[str] | None = None) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "made",
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
                for name, shape in self.inputs.items()
            ],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                for name in outputs or self.outputs
            ],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8
        )

    def data(self, outputs: Sequence[str] | None = None) -> bytes:
        return bytes(self.proto(outputs).SerializeToString())
