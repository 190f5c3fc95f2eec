"""ONNX models made by hand for tests, and the comparison of what is read with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgekit.convert.onnx_graph import read
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph

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


def expected(data: bytes, feeds: Mapping[str, Values]) -> list[Values]:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    # Its rewrites pad pools in ways that its own checks then refuse.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(None, dict(feeds))]


def channels_last(values: Values, shape: Sequence[int]) -> Values:
    """NCHW or NCL -> the graph's layout; other ranks as they are."""
    if values.ndim in (3, 4):
        values = np.moveaxis(values, 1, -1)
    return np.ascontiguousarray(values.reshape(shape))


def assert_matches(
    data: bytes, *, first: bool = True, seed: int = 0, tolerance: float = 1e-4
) -> Graph:
    """The graph read from the model computes what onnxruntime computes.

    Args:
        first: the ONNX inputs and outputs of rank 3 or 4 are channels first.
        tolerance: of the largest difference, relative to the largest output.
    """
    graph = read(data)
    declared = {
        value.name: value.type.tensor_type.shape
        for value in onnx.load_from_string(data).graph.input
    }
    feeds, inputs = {}, []
    for i, name in enumerate(graph.inputs):
        shape = [dim.dim_value or 1 for dim in declared[name].dim]
        feeds[name] = random(*shape, seed=seed + i)
        given = graph.tensors[name].shape
        inputs.append(channels_last(feeds[name], given) if first else feeds[name].reshape(given))
    for wanted, found in zip(expected(data, feeds), run(graph, inputs), strict=True):
        if wanted.ndim > 2:
            wanted = channels_last(wanted, found.shape) if first else wanted
        assert wanted.shape == found.shape
        scale = float(np.abs(wanted).max()) + 1e-6
        assert float(np.abs(wanted - found).max()) <= tolerance * scale
    return graph


def ops_of(graph: Graph) -> list[str]:
    """The ops in execution order, by TFLite's names."""
    return [node.op.tflite_name for node in graph.nodes]
