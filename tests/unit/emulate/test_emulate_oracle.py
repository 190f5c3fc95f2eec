"""The check of every build against TFLite Micro, or LiteRT where that has no kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulate_cases import flat_softmax, network, samples, two_inputs_floats_outside, without_package
from support.graphs import GraphBuilder

from edgekit.convert.tflite_writer import write
from edgekit.emulate.oracle import verify
from edgekit.emulate.samples import random_samples, reference_outputs
from edgekit.errors import VerificationError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph


def test_equal_results() -> None:
    graph, tflite = network()
    inputs = [samples(graph, 5)]
    verified = verify(graph, tflite, inputs, reference_outputs(graph, inputs))
    assert verified.checked and verified.samples == 5
    assert verified.oracle.startswith("tflite-micro ")


def test_several_inputs_and_outputs() -> None:
    graph = two_inputs_floats_outside()
    inputs = random_samples(graph, 3, seed=2)
    assert verify(graph, write(graph), inputs, reference_outputs(graph, inputs)).samples == 3


def test_one_wrong_value_is_an_error_that_names_its_sample() -> None:
    graph, tflite = network()
    inputs = [samples(graph, 5)]
    (expected,) = reference_outputs(graph, inputs)
    wrong = expected.copy()
    wrong[3, 0, 1] ^= 1
    with pytest.raises(VerificationError, match=r"on 1 of 5 samples \(first: 3\)"):
        verify(graph, tflite, inputs, [wrong])


def test_a_missing_wheel_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_package("tflite_micro", tmp_path, monkeypatch)
    graph, tflite = network()
    verified = verify(graph, tflite, [samples(graph)], [np.zeros((3, 1, 5), np.int8)])
    assert not verified.checked and verified.samples == 0
    assert "pip install" in verified.reason


def test_an_interpreter_that_dies_is_said() -> None:
    """And the build goes on: its process is another."""
    graph, tflite, values = flat_softmax()
    verified = verify(graph, tflite, [values], reference_outputs(graph, [values]))
    assert not verified.checked and "ended its process with SIG" in verified.reason


def legacy(*, dense: bool = False) -> Graph:
    """A uint8 network."""
    b = GraphBuilder("legacy")
    x = b.input("x", (1, 5, 5, 2), b.int8(0.05, 120), DType.UINT8)
    x = b.add(ops.MaxPool2D((2, 2), (2, 2)), x)
    if dense:
        weights = b.random.integers(0, 256, (3, 8)).astype(np.uint8)
        w = b.constant("w", weights, b.int8(0.01, 125))
        x = b.add(ops.FullyConnected(), x, w, quantization=b.int8(0.2, 130))
    return b.build(b.add(ops.Logistic(), x, quantization=b.int8(1 / 256, 0)))


def test_litert_is_the_oracle_for_uint8() -> None:
    graph = legacy()
    inputs = random_samples(graph, 4, seed=3)
    expected = reference_outputs(graph, inputs)
    verified = verify(graph, write(graph), inputs, expected)
    assert verified.checked and verified.samples == 4
    assert verified.oracle.startswith("ai-edge-litert ")
    assert verified.oracle.endswith(", reference kernels")
    assert verified.instead_of == "TFLite Micro has no kernels for uint8."
    with pytest.raises(VerificationError, match="LiteRT, reference kernels gives other results"):
        verify(graph, write(graph), inputs, [expected[0] ^ np.uint8(1)])


def test_litert_is_no_oracle_for_what_it_rounds_in_another_way() -> None:
    graph = legacy(dense=True)
    inputs = random_samples(graph, 2, seed=3)
    verified = verify(graph, write(graph), inputs, reference_outputs(graph, inputs))
    assert not verified.checked and verified.instead_of == ""
    assert "rounds FULLY_CONNECTED" in verified.reason


def test_uint8_at_the_border_is_computed_on_chip() -> None:
    b = GraphBuilder("border")
    x = b.input("x", (1, 6), b.int8(0.05, 128), DType.UINT8)
    x = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.05))
    graph = b.build(b.fully_connected(x, 3))
    inputs = random_samples(graph, 3, seed=1)
    verified = verify(graph, write(graph), inputs, reference_outputs(graph, inputs))
    assert verified.checked and verified.oracle.startswith("tflite-micro ")
