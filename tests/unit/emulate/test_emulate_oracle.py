"""The check of every build against TFLite Micro."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from emulate_cases import flat_softmax, network, samples, two_inputs_floats_outside, without_package

from edgekit.convert.tflite_writer import write
from edgekit.emulate.oracle import verify
from edgekit.emulate.samples import random_samples, reference_outputs
from edgekit.errors import VerificationError


def test_equal_results() -> None:
    graph, tflite = network()
    inputs = [samples(graph, 5)]
    verified = verify(tflite, inputs, reference_outputs(graph, inputs))
    assert verified.checked and verified.samples == 5
    assert verified.oracle.startswith("tflite-micro ")


def test_several_inputs_and_outputs() -> None:
    graph = two_inputs_floats_outside()
    inputs = random_samples(graph, 3, seed=2)
    assert verify(write(graph), inputs, reference_outputs(graph, inputs)).samples == 3


def test_one_wrong_value_is_an_error_that_names_its_sample() -> None:
    graph, tflite = network()
    inputs = [samples(graph, 5)]
    (expected,) = reference_outputs(graph, inputs)
    wrong = expected.copy()
    wrong[3, 0, 1] ^= 1
    with pytest.raises(VerificationError, match=r"on 1 of 5 samples \(first: 3\)"):
        verify(tflite, inputs, [wrong])


def test_a_missing_wheel_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_package("tflite_micro", tmp_path, monkeypatch)
    graph, tflite = network()
    verified = verify(tflite, [samples(graph)], [np.zeros((3, 1, 5), np.int8)])
    assert not verified.checked and verified.samples == 0
    assert "pip install" in verified.reason


def test_an_interpreter_that_dies_is_said() -> None:
    """And the build goes on: its process is another."""
    graph, tflite, values = flat_softmax()
    verified = verify(tflite, [values], reference_outputs(graph, [values]))
    assert not verified.checked and "ended its process with SIG" in verified.reason
