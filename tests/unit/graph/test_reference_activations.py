"""Logistic, HardSwish, Relu, Relu6 and Softmax against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.op_cases import (
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    one_op,
    real,
    rng_of,
)

from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import HardSwish, Logistic, Op, Relu, Relu6, Softmax

SCALES = [1e-4, 0.003, 1 / 128, 0.02, 0.05, 0.11, 0.3, 1.0, 3.0]
ZERO_POINTS = [-128, -77, 0, 5, 127]


def every_value(op: Op, scale: float, zero_point: int, output: tuple[float, int]) -> Graph:
    x = activation("x", (1, 256), scale, zero_point)
    return one_op(op, [x], activation("y", x.shape, *output))


def assert_every_value_equals_tflm(graph: Graph) -> None:
    x = np.arange(-128, 128).astype(np.int8)[None]
    (expected,) = tflm.run(write(graph), [x])
    np.testing.assert_array_equal(run(graph, [x])[0], expected)


def test_a_float_logistic_of_anything_is_a_number_without_a_warning() -> None:
    ends = real("x", (1, 3)), real("y", (1, 3))
    graph = one_op(Logistic(), [ends[0]], ends[1])
    (y,) = run(graph, [np.array([[-1e30, 0, 1e30]], np.float32)])
    np.testing.assert_array_equal(y, [[0, 0.5, 1]])


@pytest.mark.parametrize("scale", SCALES)
def test_logistic_is_bit_exact(scale: float) -> None:
    for zero_point in ZERO_POINTS:
        graph = every_value(Logistic(), scale, zero_point, (1 / 256, -128))
        assert_every_value_equals_tflm(graph)


@pytest.mark.parametrize("scale", SCALES)
def test_hard_swish_is_bit_exact(scale: float) -> None:
    for zero_point in ZERO_POINTS:
        for ratio in (0.02, 0.3, 0.52, 1.0, 1.7, 40.0):
            output = (float(np.float32(scale * ratio)), -zero_point - 1)
            assert_every_value_equals_tflm(every_value(HardSwish(), scale, zero_point, output))


@pytest.mark.parametrize("scale", SCALES)
def test_relu_is_bit_exact(scale: float) -> None:
    for zero_point in ZERO_POINTS:
        for ratio in (0.1, 0.5, 1.0, 1.7):
            output = (float(np.float32(scale * ratio)), -zero_point - 1)
            assert_every_value_equals_tflm(every_value(Relu(), scale, zero_point, output))


@pytest.mark.parametrize("scale", SCALES)
def test_relu6_is_bit_exact(scale: float) -> None:
    for zero_point in ZERO_POINTS:
        graph = every_value(Relu6(), scale, zero_point, (scale, zero_point))
        assert_every_value_equals_tflm(graph)


def test_relu6_does_not_rescale() -> None:
    with pytest.raises(UnsupportedError, match="same quantization"):
        run(every_value(Relu6(), 0.1, 0, (0.2, 0)), [np.zeros((1, 256), np.int8)])


def test_hard_swish_refuses_what_the_kernel_refuses() -> None:
    graph = every_value(HardSwish(), 1.0, 0, (1e-3, 0))
    with pytest.raises(UnsupportedError, match="1/128 of its input"):
        run(graph, [np.zeros((1, 256), np.int8)])
    with pytest.raises(UnsupportedError, match="output_multiplier_exponent"):
        tflm.run(write(graph), [np.zeros((1, 256), np.int8)])


@pytest.mark.parametrize("op", [Logistic(), Softmax()])
def test_outputs_must_be_probabilities(op: Op) -> None:
    with pytest.raises(UnsupportedError, match="1/256 and zero point -128"):
        run(every_value(op, 0.1, 0, (1 / 255, -128)), [np.zeros((1, 256), np.int8)])


@pytest.mark.parametrize("op", [Logistic(), HardSwish(), Relu(), Relu6(), Softmax(0.7)])
def test_float_agrees(op: Op) -> None:
    graph = one_op(op, [real("x", (1, 4, 50))], real("y", (1, 4, 50)))
    assert_equals_tflm(graph, rng_of("float activation"))


@pytest.mark.parametrize("beta", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("scale", SCALES)
def test_softmax_is_bit_exact(scale: float, beta: float) -> None:
    rng = rng_of("softmax", round(scale * 1e6), round(beta * 100))
    for shape in [(1, 2), (1, 10), (3, 7), (1, 500), (1, 2, 3, 5), (1, 1), (6,)]:
        x, y = activation("x", shape, scale, 3), activation("y", shape, 1 / 256, -128)
        assert_equals_tflm(one_op(Softmax(beta), [x], y), rng)


def test_legacy_uint8_softmax_and_logistic() -> None:
    for op in (Softmax(), Logistic()):
        x = activation("x", (3, 20), 0.1, 100, DType.UINT8)
        y = activation("y", (3, 20), 1 / 256, 0, DType.UINT8)
        assert_equals_litert(one_op(op, [x], y), rng_of("uint8", op.tflite_name))


def test_softmax_of_a_thousand_equal_logits() -> None:
    """Sums of 512 and more abort TFLite Micro; here the quotient rounds to 0, as it should."""
    x, y = activation("x", (1, 1001), 0.1, 0), activation("y", (1, 1001), 1 / 256, -128)
    (flat,) = run(one_op(Softmax(), [x], y), [np.zeros((1, 1001), np.int8)])
    assert (flat == -128).all()


def test_softmax_of_a_thousand_logits_is_bit_exact() -> None:
    x, y = activation("x", (4, 1001), 0.1, 0), activation("y", (4, 1001), 1 / 256, -128)
    assert_equals_tflm(one_op(Softmax(), [x], y), rng_of("thousand"))
