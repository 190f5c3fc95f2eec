"""The int8 graph: what the specification says about it, and how near it is to the float graph."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_cases import quantization_of, quantized, samples
from support.graphs import GraphBuilder, assert_same_graph, convnet

from edgekit.compress.calibrate import Ranges, calibrate
from edgekit.compress.quantize import quantize
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation
from edgekit.graph.passes import simplify


def names(graph: Graph) -> list[str]:
    return [node.op.tflite_name for node in graph.nodes]


def floats(b: GraphBuilder, *shape: int) -> str:
    return b.input("x", (1, *shape))


def test_layers_follow_the_specification() -> None:
    graph = quantized(simplify(convnet(quantized=False))).graph
    for name in (*graph.inputs, *(n for node in graph.nodes for n in node.outputs)):
        assert graph.tensors[name].dtype is DType.INT8
        assert not quantization_of(graph, name).is_per_channel
    for node in graph.nodes:
        if not isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected):
            continue
        source, weights, bias = graph.inputs_of(node)
        q, p = quantization_of(graph, weights.name), quantization_of(graph, bias.name)
        assert weights.data is not None
        axis = {ops.Conv2D: 0, ops.DepthwiseConv2D: 3}.get(type(node.op))
        count = 1 if axis is None else weights.shape[axis]
        assert (len(q.scales), len(p.scales)) == (count, count)
        assert not q.zero_points.any()
        assert weights.data.min() >= -127
        assert int(np.abs(weights.data.astype(int)).max()) == 127
        assert bias.dtype is DType.INT32
        np.testing.assert_allclose(
            p.scales, q.scales * quantization_of(graph, source.name).scale, rtol=1e-6
        )


def test_int8_is_near_float() -> None:
    assert quantized(simplify(convnet(quantized=False))).decibels > 30


def test_softmax_is_appended_to_logits_only() -> None:
    b = GraphBuilder()
    b.fully_connected(floats(b, 6), 5, name="logits")
    graph = b.build()
    ranges = calibrate(graph, [samples(graph)])
    with_softmax = quantize(graph, ranges)
    assert names(with_softmax) == ["FULLY_CONNECTED", "SOFTMAX"]
    output = quantization_of(with_softmax, with_softmax.outputs[0])
    assert (output.scale, output.zero_point) == (1 / 256, -128)
    assert names(quantize(graph, ranges, softmax=False)) == ["FULLY_CONNECTED"]
    already = convnet(quantized=False)
    quantized_already = quantize(already, calibrate(already, [samples(already)]))
    assert names(quantized_already).count("SOFTMAX") == 1
    b = GraphBuilder()
    b.conv(floats(b, 4, 4, 3), 2, (1, 1))
    picture = b.build()
    assert "SOFTMAX" not in names(quantize(picture, calibrate(picture, [samples(picture)])))


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1.0, 127 / 128, 1 / 128, 0),
        (-127 / 128, 1.0, 1 / 128, -1),
        (0.0, 1.0, 1 / 255, -128),
        (-1.0, 0.0, 1 / 255, 127),
        (0.5, 1.0, 1 / 255, -128),
    ],
)
def test_input_range_is_taken_as_given(
    low: float, high: float, scale: float, zero_point: int
) -> None:
    b = GraphBuilder()
    x = floats(b, 8, 8, 3)
    x = b.add(ops.Pad(), x, b.ints("p", [[0, 0], [0, 1], [0, 1], [0, 0]]))
    b.conv(x, 2, (3, 3))
    graph = b.build()
    values = np.random.default_rng(0).uniform(low, high, (8, 8, 8, 3)).astype(np.float32)
    integer = quantized(graph, values, input_range=(low, high)).graph
    for name in ("x", integer.nodes[0].outputs[0]):
        found = quantization_of(integer, name)
        assert found.scale == np.float32(scale)
        assert found.zero_point == zero_point


@pytest.mark.parametrize("bad", [(1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_input_ranges_that_make_no_sense(bad: tuple[float, float]) -> None:
    graph = convnet(quantized=False)
    with pytest.raises(InputError, match="input range"):
        quantize(graph, calibrate(graph, [samples(graph)]), input_range=bad)


def test_real_zero_is_a_step() -> None:
    graph = quantized(convnet(quantized=False)).graph
    for tensor in graph.tensors.values():
        if tensor.quantization is not None and tensor.dtype is DType.INT8:
            assert -128 <= tensor.quantization.zero_point <= 127


def test_relu_outputs_start_at_zero() -> None:
    b = GraphBuilder()
    b.conv(floats(b, 6, 6, 3), 4, (3, 3), activation=Activation.RELU6, name="y")
    assert quantization_of(quantized(b.build()).graph, "y").zero_point == -128


def test_ops_that_move_values_share_one_quantization() -> None:
    b = GraphBuilder()
    x = floats(b, 8, 8, 4)
    a, c = b.conv(x, 4, (1, 1), name="a"), b.conv(x, 4, (3, 3), name="c")
    y = b.add(ops.Concatenation(3), a, c, name="y")
    y = b.add(ops.MaxPool2D((2, 2), (2, 2)), y, name="pool")
    y = b.add(ops.AveragePool2D((2, 2), (2, 2)), y, name="average")
    y = b.add(ops.Split(2), b.ints("axis", [3]), y, name="part")
    y = b.add(ops.Transpose(), "part:1", b.ints("order", [0, 2, 1, 3]), name="transposed")
    y = b.add(ops.Relu6(), y, name="clamped")
    b.flatten(y, name="flat")
    result = quantized(b.build())
    found = {
        (quantization_of(result.graph, name).scale, quantization_of(result.graph, name).zero_point)
        for name in ("a", "c", "y", "pool", "average", "part", "transposed", "clamped", "flat")
    }
    assert len(found) == 1
    assert "QUANTIZE" not in names(result.graph)
    assert result.worst_steps < 2.5


def test_a_mean_has_a_scale_of_its_own() -> None:
    b = GraphBuilder()
    b.add(ops.Mean(), floats(b, 16, 16, 4), b.ints("axes", [1, 2]))
    result = quantized(b.build())
    assert result.step < quantization_of(result.graph, "x").scale / 4


def test_probabilities_are_requantized_only_where_they_meet_others() -> None:
    b = GraphBuilder()
    x = floats(b, 4, 4, 3)
    gate = b.add(ops.Logistic(), b.conv(x, 3, (1, 1)), name="gate")
    b.flatten(gate)
    assert names(quantized(b.build()).graph) == ["CONV_2D", "LOGISTIC", "RESHAPE"]
    b = GraphBuilder()
    x = floats(b, 4, 4, 3)
    gate = b.add(ops.Logistic(), b.conv(x, 3, (1, 1)), name="gate")
    y = b.add(ops.Concatenation(3), gate, b.conv(x, 2, (1, 1)))
    result = quantized(b.build(b.add(ops.Mean(), y, b.ints("axes", [1, 2]))))
    assert names(result.graph).count("QUANTIZE") == 1
    assert quantization_of(result.graph, "gate").scale == 1 / 256
    assert result.decibels > 30


def test_input_in_a_concatenation_is_requantized_if_its_range_is_given() -> None:
    b = GraphBuilder()
    x = floats(b, 4, 4, 3)
    y = b.conv(x, 3, (1, 1), name="wide")
    b.tensors["wide/bias"].data[:] = 9  # type: ignore[index]
    b.add(ops.Concatenation(3), x, y)
    values = np.clip(samples(b.build()) / 3, -1, 127 / 128)
    result = quantized(b.build(), values, input_range=(-1.0, 127 / 128))
    assert quantization_of(result.graph, "x").scale == 1 / 128
    assert names(result.graph).count("QUANTIZE") == 1
    assert result.decibels > 30


@pytest.mark.parametrize("op", [ops.Add(), ops.Mul(), ops.Sub(), ops.Add(Activation.RELU)])
@pytest.mark.parametrize("values", [[2.5], [-1.5], [0.0], [0.25, -0.5, 3.0]])
def test_constants_of_elementwise_ops(op: ops.Op, values: list[float]) -> None:
    b = GraphBuilder()
    b.add(op, floats(b, 4, 4, 3), b.constant("c", np.array(values, np.float32)))
    result = quantized(b.build())
    assert result.worst_steps < 2.6
    if len(values) == 1:  # a single number is exact: it is the end of its range
        tensor = result.graph.tensors["c"]
        q = quantization_of(result.graph, "c")
        assert tensor.data is not None
        assert abs(q.scale * (int(tensor.data[0]) - q.zero_point) - values[0]) < 1e-6


def test_one_constant_for_two_scales_becomes_two() -> None:
    b = GraphBuilder()
    x = floats(b, 4, 4, 3)
    first = b.conv(x, 3, (1, 1), name="first")
    scaled = b.add(ops.Mul(), first, b.constant("ten", np.array([10], np.float32)))
    b.add(ops.Conv2D(), scaled, "first/weights", "first/bias", name="second")
    result = quantized(b.build())
    assert result.graph.nodes[0].inputs[2] != result.graph.nodes[2].inputs[2]
    assert result.decibels > 30


def test_max_pool_padded_with_minus_infinity() -> None:
    b = GraphBuilder()
    paddings = b.ints("p", [[0, 0], [1, 1], [1, 1], [0, 0]])
    low = b.constant("low", np.array([np.finfo(np.float32).min]))
    y = b.add(ops.PadV2(), floats(b, 8, 8, 3), paddings, low)
    b.add(ops.MaxPool2D((3, 3), (2, 2)), y)
    result = quantized(b.build(), samples(b.build()) - 5)
    assert result.worst_steps < 0.51


def test_same_inputs_same_graph() -> None:
    graph = convnet(quantized=False)
    ranges = calibrate(graph, [samples(graph)])
    assert_same_graph(quantize(graph, ranges), quantize(graph, ranges))


def test_ranges_of_another_graph() -> None:
    graph = convnet(quantized=False)
    with pytest.raises(InputError, match="do not hold the activation"):
        quantize(graph, Ranges({"image": (-1, 1)}, 10))


def test_ranges_that_cannot_be_quantized() -> None:
    graph = convnet(quantized=False)
    ranges = calibrate(graph, [samples(graph)])
    for bad in ((0, 1e30), (1, -1), (float("nan"), 1)):
        wrong = Ranges({**ranges.extremes, "stem": bad}, 10)
        with pytest.raises(InputError, match="'stem' cannot be quantized"):
            quantize(graph, wrong)


def test_integer_graphs_are_refused() -> None:
    graph = convnet(quantized=True)
    with pytest.raises(InputError, match="only float is quantized"):
        quantize(graph, Ranges({}, 1))


def test_weights_that_are_not_finite_are_named() -> None:
    graph = convnet(quantized=False)
    ranges = calibrate(graph, [samples(graph)])
    graph.tensors["down/weights"].data[0, 0, 0, 0] = np.nan  # type: ignore[index]
    with pytest.raises(InputError, match="'down/weights'"):
        quantize(graph, ranges)


def test_computed_weights_are_refused() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 3))
    w = b.input("w", (2, 1, 1, 3))
    b.add(ops.Conv2D(), x, w)
    graph = b.build()
    extremes = dict.fromkeys(("x", "w", graph.outputs[0]), (-1.0, 1.0))
    with pytest.raises(UnsupportedError, match="computed"):
        quantize(graph, Ranges(extremes, 1))
