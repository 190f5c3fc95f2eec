"""What the tests of emulate/ share: a network, its file, samples, and a network with a fault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.convert.tflite_writer import write
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph

FAULTY_LAYER = 2  # block/pointwise


def samples(graph: Graph, count: int = 3) -> np.ndarray:
    """(count, *shape) smooth int8 pictures."""
    _, height, width, channels = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(4)
    coarse = rng.integers(-128, 128, (count, 1, height // 4, width // 4, channels))
    return coarse.astype(np.int8).repeat(4, axis=2).repeat(4, axis=3)


def with_one_weight_changed(graph: Graph) -> Graph:
    """The same network but for one weight of the faulty layer."""
    weights = graph.tensors[graph.nodes[FAULTY_LAYER].inputs[1]]
    assert weights.data is not None
    data = weights.data.copy()
    data.flat[0] = -data.flat[0] if abs(int(data.flat[0])) > 20 else 100
    changed = {**graph.tensors, weights.name: replace(weights, data=data)}
    return replace(graph, tensors=changed)


def two_inputs_floats_outside() -> Graph:
    """float a, float b -> quantized, added -> (float sum, int8 sum)."""
    b = GraphBuilder("border")
    q = b.int8(0.05, 3)
    first = b.add(ops.Quantize(), b.input("a", (1, 4)), quantization=q, dtype=DType.INT8, name="qa")
    second = b.add(
        ops.Quantize(), b.input("b", (1, 4)), quantization=q, dtype=DType.INT8, name="qb"
    )
    total = b.add(ops.Add(), first, second, quantization=b.int8(0.1, -2), name="sum")
    real = b.add(ops.Dequantize(), total, dtype=DType.FLOAT32, name="real")
    return b.build(real, total)


def network() -> tuple[Graph, bytes]:
    graph = convnet()
    return graph, write(graph)


def without_package(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the processes of engines from finding a package."""
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules[{name!r}] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def flat_softmax() -> tuple[Graph, bytes, np.ndarray]:
    """600 equal logits: reference kernels end the program over them."""
    b = GraphBuilder("flat")
    x = b.input("x", (1, 600), b.int8(0.1))
    graph = b.build(b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)))
    return graph, write(graph), np.zeros((2, 1, 600), np.int8)
