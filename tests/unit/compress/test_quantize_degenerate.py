"""Weights, biases and ranges at the edge of what 8 and 32 bits hold, against TFLite Micro."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_cases import quantization_of, quantized, samples
from support.graphs import GraphBuilder

from edgekit.compress.weight_scales import quantize_layer
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation

LAYERS = ["conv", "depthwise", "dense"]


def layer_graph(kind: str, **parameters: object) -> tuple[Graph, np.ndarray, np.ndarray]:
    """A graph of one layer "y" with four output channels, its weights (channels first) and bias."""
    b = GraphBuilder(seed=1)
    x = b.input("x", (1, 6, 6, 4))
    if kind == "conv":
        b.conv(x, 4, (3, 3), name="y", **parameters)
    elif kind == "depthwise":
        b.depthwise(x, (3, 3), name="y", **parameters)
    else:
        b.fully_connected(b.flatten(x), 4, name="y", **parameters)
    weights, bias = b.tensors["y/weights"].data, b.tensors["y/bias"].data
    assert weights is not None
    assert bias is not None
    return b.build(), np.moveaxis(weights, 3, 0) if kind == "depthwise" else weights, bias


@pytest.mark.parametrize("kind", LAYERS)
def test_dead_channel_keeps_its_bias(kind: str) -> None:
    graph, weights, bias = layer_graph(kind)
    weights[2], bias[2] = 0, 0.7
    result = quantized(graph)
    dead = np.abs(result.found[..., 2] - 0.7).max() / result.step
    assert dead <= 0.51, "the bias is exact to half an output step"
    stored = result.graph.tensors["y/bias"].data
    assert stored is not None
    assert abs(int(stored[2])) < 2**23, "and stays small enough for narrow arithmetic"
    assert result.decibels > 25


@pytest.mark.parametrize("kind", LAYERS)
def test_layer_without_any_weight(kind: str) -> None:
    graph, weights, bias = layer_graph(kind)
    weights[:], bias[:] = 0, [0.5, -0.25, 0, 0.125]
    assert quantized(graph).worst_steps <= 0.51
    bias[:] = 0
    assert not quantized(graph).found.any()


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("factor", [1e-12, 1e-6, 1e6, 1e12])
def test_weights_of_any_size(kind: str, factor: float) -> None:
    graph, weights, bias = layer_graph(kind)
    weights *= np.float32(factor)
    bias *= np.float32(factor)
    assert quantized(graph).decibels > 25


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("factor", [1e-12, 1e-4, 1e4])
def test_one_channel_far_from_the_others(kind: str, factor: float) -> None:
    graph, weights, _ = layer_graph(kind)
    weights[1] *= np.float32(factor)
    assert quantized(graph).decibels > (25 if kind != "dense" else 15)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("bias_value", [1e5, -1e7, 1e10])
@pytest.mark.parametrize("activation", [Activation.NONE, Activation.RELU6])
def test_bias_beyond_32_bits_enlarges_the_scale(
    kind: str, bias_value: float, activation: Activation
) -> None:
    graph, weights, bias = layer_graph(kind, activation=activation)
    weights *= np.float32(1e-3)
    bias[:] = bias_value
    assert quantized(graph).worst_steps <= 0.51


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-9, 1e9])
def test_constant_inputs(value: float) -> None:
    graph, _, _ = layer_graph("conv")
    assert quantized(graph, np.full((4, 6, 6, 4), value, np.float32)).decibels > 25


@pytest.mark.parametrize("factor", [1e-25, 1e-12, 1e12])
def test_inputs_of_any_size(factor: float) -> None:
    graph, _, bias = layer_graph("conv")
    bias *= np.float32(factor)
    result = quantized(graph, samples(graph) * np.float32(factor))
    if factor > 1e-17:
        assert result.decibels > 25


def test_activation_that_is_always_zero() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 6, 6, 4))
    y = b.conv(x, 4, (3, 3), activation=Activation.RELU, name="dead")
    b.tensors["dead/bias"].data[:] = -100  # type: ignore[index]
    z = b.conv(y, 3, (1, 1), name="z")
    result = quantized(b.build(z))
    assert result.worst_steps <= 0.51


@pytest.mark.parametrize(
    "op", [ops.Add(), ops.Sub(), ops.Mul(), ops.Mean(), ops.HardSwish(), ops.Relu()]
)
def test_results_that_nearly_vanish(op: ops.Op) -> None:
    """Outputs much finer than their inputs: kernels refuse, or overflow, if the scale follows."""
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 3))
    if isinstance(op, ops.Mean):
        b.add(op, x, b.ints("axes", [1, 2]), name="y")
    elif isinstance(op, ops.Relu | ops.HardSwish):
        b.add(op, x, name="y")
    else:
        b.add(op, x, b.constant("c", np.array([5], np.float32)), name="y")
    graph = b.build()
    values = samples(graph)
    if isinstance(op, ops.Relu | ops.HardSwish):
        values = -np.abs(values) - 4  # hard swish and ReLU give (almost) nothing but zeros
    elif isinstance(op, ops.Mean):
        values -= values.mean(axis=(1, 2), keepdims=True)
    else:
        values[:] = {ops.Add: -5.0, ops.Sub: 5.0}.get(type(op), 1e-9)
    result = quantized(graph, values)
    source = quantization_of(result.graph, "x").scale
    assert np.abs(result.found - result.wanted).max() <= max(1.5 * result.step, source)


def test_scale_tied_to_itself_does_not_run_away() -> None:
    """A dense block: the scale of the concatenation is also that of the layer it feeds."""
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 3))
    y = b.conv(x, 3, (1, 1), name="amplifier")
    b.tensors["amplifier/weights"].data[:] *= 300  # type: ignore[index]
    y = b.add(ops.Concatenation(3), x, y)
    z = b.conv(y, 2, (1, 1))
    result = quantized(b.build(b.add(ops.Concatenation(3), y, z)))
    span = float(result.wanted.max() - result.wanted.min())
    assert result.step < 1.5 * span / 255


@pytest.mark.parametrize("factor", [0, 1e-12, 1e-8, 1e-7])
def test_logits_too_small_to_tell_apart_are_all_as_probable(factor: float) -> None:
    graph, weights, bias = layer_graph("dense")
    weights *= np.float32(factor)
    bias *= np.float32(factor)
    result = quantized(graph, softmax=True)
    np.testing.assert_array_equal(result.found, np.full(result.found.shape, 0.25))


@pytest.mark.parametrize("seed", range(20))
def test_no_accumulator_can_overflow(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(5, 2, 2, 40)) * 10.0 ** random.uniform(-9, 9, (5, 1, 1, 1))
    bias = random.normal(size=5) * 10.0 ** random.uniform(-3, 12, 5)
    scales = (float(10 ** random.uniform(-6, 2)), float(10 ** random.uniform(-6, 2)))
    layer = quantize_layer(weights, bias, 0, scales, per_channel=bool(seed % 2))
    reach = 255 * np.abs(layer.weights.astype(np.int64)).reshape(5, -1).sum(axis=1)
    assert (reach + np.abs(layer.bias.astype(np.int64)) < 2**31).all()
    assert np.isfinite(layer.bias_scales).all()
    assert (layer.scales > 0).all()


def test_weights_are_rounded_to_the_nearest_step() -> None:
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 8))
    layer = quantize_layer(weights, np.zeros(4), 0, (0.02, 0.05), per_channel=True)
    real = layer.weights * layer.scales.astype(np.float64).reshape(4, 1, 1, 1)
    assert (np.abs(real - weights) <= layer.scales.reshape(4, 1, 1, 1) * 0.5000001).all()
    np.testing.assert_allclose(layer.scales, np.abs(weights).max(axis=(1, 2, 3)) / 127, rtol=1e-6)
