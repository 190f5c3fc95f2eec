"""What the quantization tests share: quantize a float graph on samples, run it here and on TFLM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.compress.calibrate import calibrate
from edgekit.compress.quantize import quantize
from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph, Quantization

Values = npt.NDArray[Any]


def samples(graph: Graph, count: int = 32, seed: int = 3) -> Values:
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


def quantization_of(graph: Graph, name: str) -> Quantization:
    found = graph.tensors[name].quantization
    assert found is not None
    return found


def to_int8(values: Values, quantization: Quantization) -> Values:
    steps = np.round(values / np.float64(quantization.scale)) + quantization.zero_point
    return np.clip(steps, -128, 127).astype(np.int8)


def to_real(values: Values, quantization: Quantization) -> Values:
    return (values.astype(np.float64) - quantization.zero_point) * quantization.scale


@dataclass(frozen=True)
class Quantized:
    """A float graph's outputs, and those of its int8 graph as reals."""

    graph: Graph
    wanted: Values
    found: Values
    step: float

    @property
    def decibels(self) -> float:
        noise = float(np.square(self.wanted - self.found).sum())
        return 10 * float(np.log10(np.square(self.wanted).sum() / max(noise, 1e-30)))

    @property
    def worst_steps(self) -> float:
        """The largest error in output steps."""
        return float(np.abs(self.wanted - self.found).max()) / self.step


def quantized(graph: Graph, values: Values | None = None, **options: Any) -> Quantized:
    """Calibrate and quantize; on the first samples the int8 graph equals TFLite Micro's result."""
    values = samples(graph) if values is None else values
    options = {"softmax": False, **options}
    integer = quantize(graph, calibrate(graph, [values]), **options)
    inputs = to_int8(values, quantization_of(integer, integer.inputs[0]))
    found = run(integer, [inputs])
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    for mine, theirs in zip(found, tflm.run(write(integer), [inputs[:4]]), strict=True):
        np.testing.assert_array_equal(theirs, mine[: len(theirs)])
    output = quantization_of(integer, integer.outputs[0])
    return Quantized(integer, run(graph, [values])[0], to_real(found[0], output), output.scale)
