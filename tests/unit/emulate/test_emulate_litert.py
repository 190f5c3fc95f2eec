"""LiteRT as an emulator."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.convert.tflite_writer import write
from edgekit.emulate import litert
from edgekit.emulate.litert import Kernels
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Add, Relu


def model() -> bytes:
    """relu(a + a)."""
    quantization = Quantization.per_tensor(0.1, 3)
    tensors = {name: Tensor(name, (1, 4), DType.INT8, quantization) for name in ("a", "sum", "y")}
    nodes = (Node("add", Add(), ("a", "a"), ("sum",)), Node("relu", Relu(), ("sum",), ("y",)))
    return write(Graph("twice", tensors, nodes, ("a",), ("y",)))


@pytest.mark.parametrize("kernels", Kernels)
def test_a_batch_is_its_samples(kernels: Kernels) -> None:
    x = np.arange(-6, 6).reshape(3, 4).astype(np.int8)
    (y,) = litert.run(model(), [x], kernels)
    # 2 (x - 3) + 3, not below the zero point.
    np.testing.assert_array_equal(y, np.maximum(2 * x - 3, 3))


@pytest.mark.parametrize("kernels", Kernels)
def test_every_tensor_can_be_seen(kernels: Kernels) -> None:
    x = np.array([[1, 2, 3, 4]], np.int8)
    values = litert.tensors(model(), [x], kernels)
    assert values["a"].tolist() == [[1, 2, 3, 4]]
    assert values["sum"].tolist() == [[-1, 1, 3, 5]]
    assert values["y"].tolist() == [[3, 3, 3, 5]]


def test_refusals() -> None:
    with pytest.raises(UnsupportedError, match="LiteRT refuses"):
        litert.run(b"not a model at all", [])
    with pytest.raises(InputError, match="reads shape"):
        litert.run(model(), [np.zeros((1, 5), np.int8)])
