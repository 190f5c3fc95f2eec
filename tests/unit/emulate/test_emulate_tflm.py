"""The TFLite Micro wheel as an emulator."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.emulate.engine import Engine, start
from edgekit.errors import InputError, MissingToolError, UnsupportedError
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Activation, Add, Concatenation, Op


def model(op: Op | None = None) -> bytes:
    """(1,8,8,3) + (1,8,8,3)."""
    quantization = Quantization.per_tensor(0.1, 3)
    tensors = {name: Tensor(name, (1, 8, 8, 3), DType.INT8, quantization) for name in "aby"}
    node = Node("node", op or Add(), ("a", "b"), ("y",))
    return write(Graph("sum", tensors, (node,), ("a", "b"), ("y",)))


def sample(count: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (count, 8, 8, 3)).astype(np.int8)


def test_a_batch_is_its_samples() -> None:
    x = sample(4)
    (together,) = tflm.run(model(), [x, x])
    for i in range(4):
        np.testing.assert_array_equal(together[i : i + 1], tflm.run(model(), [x[i : i + 1]] * 2)[0])


def test_smallest_arena_is_enough_and_no_larger_than_needed() -> None:
    arena_bytes = tflm.smallest_arena(model())
    # Three tensors of 192 bytes, and TFLite Micro's own structures.
    assert 3 * 192 < arena_bytes < 8192
    assert arena_bytes % tflm.ARENA_ALIGNMENT_BYTES == 0
    x = sample()
    with start(Engine.TFLM, model(), arena_bytes=arena_bytes) as session:
        (y,) = session.run([x, x])[0]
    np.testing.assert_array_equal(y, tflm.run(model(), [x, x])[0])
    smaller = arena_bytes - tflm.ARENA_ALIGNMENT_BYTES
    with pytest.raises(UnsupportedError), start(Engine.TFLM, model(), arena_bytes=smaller):
        pass


def test_a_model_without_kernels_is_refused_with_the_reason(capfd: Any) -> None:
    with pytest.raises(UnsupportedError, match="CONCATENATION") as caught:
        tflm.run(model(Concatenation(1, Activation.RELU)), [sample(), sample()])
    assert "TFLite Micro refuses this model" in str(caught.value)
    assert capfd.readouterr().err == ""


def test_bytes_that_are_no_model_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="refuses this model"):
        tflm.run(b"\xff\xff\xff\x7f" * 8, [sample()])


def test_inputs_that_do_not_fit() -> None:
    with pytest.raises(InputError, match="has 2 inputs"):
        tflm.run(model(), [sample()])
    with pytest.raises(InputError, match="reads int8, float64"):
        tflm.run(model(), [sample(), np.zeros((1, 8, 8, 3))])
    with pytest.raises(InputError, match="reads shape"):
        tflm.run(model(), [sample(), np.zeros((1, 8, 8, 4), np.int8)])
    with pytest.raises(InputError, match="different sizes"):
        tflm.run(model(), [sample(2), sample(3)])


def test_missing_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tflite_micro", None)
    with pytest.raises(MissingToolError) as caught:
        tflm.run(model(), [sample(), sample()])
    assert "pip install 'edgekit[emulate]'" in caught.value.hint
