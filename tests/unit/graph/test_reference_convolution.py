"""Conv2D and DepthwiseConv2D against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.layer_cases import conv_case, depthwise_case, output_size, random_window
from support.op_cases import (
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    one_op,
    random_scales,
    real,
    rng_of,
)

from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Quantization, Tensor
from edgekit.graph.ops import Activation, Conv2D, DepthwiseConv2D, Padding


@pytest.mark.parametrize("seed", range(60))
def test_convolution_is_bit_exact(seed: int) -> None:
    rng = rng_of("convolution", seed)
    assert_equals_tflm(conv_case(rng), rng)


@pytest.mark.parametrize("seed", range(60))
def test_depthwise_is_bit_exact(seed: int) -> None:
    rng = rng_of("depthwise", seed)
    assert_equals_tflm(depthwise_case(rng), rng)


@pytest.mark.parametrize("case", [conv_case, depthwise_case])
def test_a_batch_is_its_samples(case: object) -> None:
    rng = rng_of("batch")
    graph = case(rng)  # type: ignore[operator]
    shape = graph.tensors["x"].shape
    x = rng.integers(-128, 128, (37, *shape[1:])).astype(np.int8)
    (together,) = run(graph, [x])
    for i in range(len(x)):
        (alone,) = run(graph, [x[i : i + 1]])
        np.testing.assert_array_equal(together[i : i + 1], alone)


def _pointwise(
    weights: np.ndarray, bias: np.ndarray, weight_scales: list[float], output_scale: float
) -> Graph:
    """1x1 convolution of a 2x2 image, input scale 1, zero points 0."""
    outputs, _, _, depth = weights.shape
    scales = np.array(weight_scales, np.float32)
    zeros = np.zeros(len(scales), np.int64)
    inputs = [
        activation("x", (1, 2, 2, depth), 1.0, 0),
        Tensor.constant("weights", weights, Quantization(scales, zeros, 0)),
        Tensor.constant("bias", bias.astype(np.int32), Quantization(scales, zeros, 0)),
    ]
    return one_op(Conv2D(), inputs, activation("y", (1, 2, 2, outputs), output_scale, 0))


def test_dead_channels_with_tiny_scales() -> None:
    weights = np.zeros((4, 1, 1, 8), np.int8)
    weights[3] = 7
    graph = _pointwise(weights, np.array([0, 1000, -7, 5]), [1e-30, 1e-12, 1e-7, 0.01], 0.5)
    (y,) = assert_equals_tflm(graph, rng_of("dead"))
    assert (y[..., :3] == 0).all() and (y[..., 3] != 0).any()


def test_factors_of_one_and_more() -> None:
    rng = rng_of("large factors")
    weights = rng.integers(-127, 128, (4, 1, 1, 8)).astype(np.int8)
    for output_scale in (1.0, 0.25, 0.003, 1e-5):
        scales = [1.0, 0.9999999, 0.5, 1.7]
        assert_equals_tflm(_pointwise(weights, np.arange(4), scales, output_scale), rng)


@pytest.mark.parametrize("output_scale", [1e-7, 1e-3, 1.0, 1e6, 1e9])
def test_sums_beyond_int32_wrap_as_the_kernels_do(output_scale: float) -> None:
    weights = np.full((4, 1, 1, 8), 127, np.int8)
    bias = np.array([2**31 - 1, -(2**31), 2**31 - 100_000, 1 << 30])
    graph = _pointwise(weights, bias, [1.0], output_scale)
    assert_equals_tflm(graph, rng_of("wrap"))


def test_long_sums_leave_float32() -> None:
    """With 2048 weights of 127 float32 would lose bits; the sums are taken in float64."""
    rng = rng_of("long")
    weights = np.where(rng.random((2, 1, 1, 2048)) < 0.9, 127, -128).astype(np.int8)
    assert_equals_tflm(_pointwise(weights, np.array([1, -1]), [1.0, 0.7], 3e5), rng)


def test_constant_zero_output_range() -> None:
    """A range of nothing gives a scale that is tiny; everything saturates, nothing crashes."""
    weights = np.ones((2, 1, 1, 3), np.int8)
    assert_equals_tflm(_pointwise(weights, np.zeros(2), [1.0], 1e-6), rng_of("constant"))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", [Conv2D, DepthwiseConv2D])
def test_legacy_uint8_equals_litert(kind: type[Conv2D | DepthwiseConv2D], seed: int) -> None:
    rng = rng_of("uint8", kind.__name__, seed)
    op = kind(**random_window(rng))
    depth, taps, size = int(rng.integers(1, 6)), (3, 2), (9, 11)
    shape = (4, *taps, depth) if kind is Conv2D else (1, *taps, depth)
    outputs = 4 if kind is Conv2D else depth
    scales = random_scales(rng, outputs, 6 * depth, per_channel=False)
    weights = Tensor.constant(
        "weights",
        rng.integers(0, 256, shape).astype(np.uint8),
        Quantization(scales.weights, np.array([rng.integers(0, 256)])),
    )
    x = activation("x", (1, *size, depth), scales.input, 120, DType.UINT8)
    y_shape = (1, *output_size(op, size, taps), outputs)
    y = activation("y", y_shape, scales.output, int(rng.integers(0, 256)), DType.UINT8)
    assert_equals_litert(one_op(op, [x, weights, scales.bias(rng, outputs, 999)], y), rng)


@pytest.mark.parametrize("seed", range(10))
def test_float_agrees(seed: int) -> None:
    rng = rng_of("float", seed)
    integer = conv_case(rng) if seed % 2 else depthwise_case(rng)
    op = integer.nodes[0].op
    x, weights = (integer.tensors[name] for name in integer.nodes[0].inputs[:2])
    inputs = [
        real("x", x.shape),
        Tensor.constant("weights", rng.standard_normal(weights.shape).astype(np.float32)),
    ]
    channels = integer.tensors["y"].shape[3]
    inputs.append(Tensor.constant("bias", rng.standard_normal(channels).astype(np.float32)))
    assert_equals_tflm(one_op(op, inputs, real("y", integer.tensors["y"].shape)), rng)


class TestRefusals:
    x = activation("x", (1, 4, 4, 6), 0.1, 0)
    y = activation("y", (1, 4, 4, 2), 0.1, 0)

    def refused(self, *inputs: Tensor, op: Conv2D | None = None) -> str:
        graph = one_op(op or Conv2D(), [self.x, *inputs], self.y)
        with pytest.raises(UnsupportedError) as caught:
            run(graph, [np.zeros((1, 4, 4, 6), np.int8)])
        return str(caught.value)

    def test_weights_with_a_zero_point(self) -> None:
        weights = Tensor.constant(
            "w", np.ones((2, 1, 1, 6), np.int8), Quantization.per_tensor(0.1, 3)
        )
        assert "'node' needs symmetric weights" in self.refused(weights)

    def test_hybrid_types(self) -> None:
        weights = Tensor.constant("w", np.ones((2, 1, 1, 6), np.float32))
        assert "int8 input and float32 weights" in self.refused(weights)

    def test_scales_that_are_not_positive(self) -> None:
        weights = Tensor.constant(
            "w", np.ones((2, 1, 1, 6), np.int8), Quantization.per_tensor(0.0, 0)
        )
        assert "positive finite scales for 'w'" in self.refused(weights)

    def test_groups_that_do_not_divide(self) -> None:
        weights = Tensor.constant(
            "w", np.ones((2, 1, 1, 4), np.int8), Quantization.per_tensor(0.1, 0)
        )
        assert "cannot split 6 channels" in self.refused(weights)

    def test_window_larger_than_the_image(self) -> None:
        weights = Tensor.constant(
            "w", np.ones((2, 5, 1, 6), np.int8), Quantization.per_tensor(0.1, 0)
        )
        assert "does not fit" in self.refused(weights, op=Conv2D(padding=Padding.VALID))

    def test_weights_that_are_computed(self) -> None:
        weights = activation("w", (2, 1, 1, 6), 0.1, 0)
        graph = one_op(Conv2D(activation=Activation.RELU), [self.x, weights], self.y)
        values = [np.zeros((1, 4, 4, 6), np.int8), np.zeros((2, 1, 1, 6), np.int8)]
        with pytest.raises(UnsupportedError, match="needs constant weights"):
            run(graph, values)
