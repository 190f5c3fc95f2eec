"""The comparison of what is read from ONNX with onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnxruntime
from support.onnx_models import Values, random

from edgekit.convert.onnx_graph import read
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph


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
