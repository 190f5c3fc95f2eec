"""Every ONNX op edgekit reads computes what onnxruntime computes, with few nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx_cases import assert_matches, ops_of
from support.onnx_models import Onnx, random

from edgekit.graph import ops
from edgekit.graph.ops import Activation, Padding

IMAGE = (1, 4, 9, 10)


def conv(x: tuple[int, ...] = IMAGE, w: tuple[int, ...] = (6, 4, 3, 3), **attributes: Any) -> Onnx:
    model = Onnx(x=x)
    model.node("Conv", "x", random(*w), random(w[0], seed=1), **attributes)
    return model


@pytest.mark.parametrize(
    ("attributes", "names"),
    [
        ({}, ["CONV_2D"]),
        ({"pads": [1, 1, 1, 1]}, ["CONV_2D"]),
        ({"pads": [1, 1, 1, 1], "strides": [2, 2]}, ["PAD", "CONV_2D"]),
        ({"pads": [0, 0, 1, 1], "strides": [2, 3]}, ["CONV_2D"]),
        ({"pads": [1, 0, 1, 1], "strides": [2, 2]}, ["CONV_2D"]),
        ({"pads": [0, 1, 2, 0]}, ["PAD", "CONV_2D"]),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, ["CONV_2D"]),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, ["PAD", "CONV_2D"]),
        ({"auto_pad": "VALID", "strides": [2, 2]}, ["CONV_2D"]),
        ({"dilations": [2, 2]}, ["CONV_2D"]),
        ({"dilations": [2, 3], "pads": [2, 3, 2, 3]}, ["CONV_2D"]),
    ],
)
def test_conv_needs_a_pad_only_where_same_does_not_say_it(
    attributes: dict[str, Any], names: list[str]
) -> None:
    assert ops_of(assert_matches(conv(**attributes).data())) == names


def test_padding_holds_no_more_than_the_windows_read() -> None:
    model = conv((1, 4, 8, 8), pads=[1, 1, 5, 5], strides=[4, 4])
    graph = assert_matches(model.data())
    (pad,) = [node for node in graph.nodes if isinstance(node.op, ops.Pad)]
    assert graph.tensors[pad.outputs[0]].shape == (1, 11, 11, 4)


@pytest.mark.parametrize("multiplier", [1, 3])
def test_depthwise(multiplier: int) -> None:
    graph = assert_matches(conv(w=(4 * multiplier, 1, 3, 3), group=4, pads=[1] * 4).data())
    assert ops_of(graph) == ["DEPTHWISE_CONV_2D"]


def test_groups_stay_one_convolution() -> None:
    graph = assert_matches(conv(w=(6, 2, 3, 3), group=2).data())
    assert ops_of(graph) == ["CONV_2D"]
    assert graph.tensors[graph.nodes[0].inputs[1]].shape == (6, 3, 3, 2)


def test_one_dimensional_network() -> None:
    model = Onnx(x=(1, 4, 20))
    y = model.node("Conv", "x", random(6, 4, 5), random(6), strides=[2], pads=[2, 2])
    y = model.node("MaxPool", model.node("Relu", y), kernel_shape=[2], strides=[2])
    y = model.node("Flatten", model.node("GlobalAveragePool", y))
    model.node("Gemm", y, random(6, 3), random(3))
    graph = assert_matches(model.data())
    assert graph.tensors["x"].shape == (1, 1, 20, 4)
    assert "TRANSPOSE" not in ops_of(graph)


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("relu", [False, True])
def test_max_pool(pads: list[int], stride: int, ceil: int, relu: bool) -> None:
    model = Onnx(x=IMAGE)
    source = model.node("Relu", "x") if relu else "x"
    model.node(
        "MaxPool", source, kernel_shape=[3, 3], strides=[stride] * 2, pads=pads, ceil_mode=ceil
    )
    graph = assert_matches(model.data())
    assert not (relu and "PADV2" in ops_of(graph)), "zeros do after a ReLU"


@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("count", [0, 1])
def test_average_pool(pads: list[int], stride: int, ceil: int, count: int) -> None:
    model = Onnx(opset=19, x=(1, 3, 8, 9))
    model.node(
        "AveragePool",
        "x",
        kernel_shape=[3, 3],
        strides=[stride] * 2,
        pads=pads,
        ceil_mode=ceil,
        count_include_pad=count,
    )
    assert_matches(model.data())


def test_average_pool_counts_as_same_does() -> None:
    model = Onnx(x=IMAGE)
    model.node("AveragePool", "x", kernel_shape=[3, 3], pads=[1] * 4)
    (node,) = assert_matches(model.data()).nodes
    assert node.op == ops.AveragePool2D((3, 3), (1, 1), Padding.SAME)


def test_pools_over_everything_become_means() -> None:
    model = Onnx(x=IMAGE)
    model.node("AveragePool", "x", kernel_shape=[9, 10])
    assert ops_of(assert_matches(model.data())) == ["MEAN"]
    model = Onnx(x=IMAGE)
    model.node("GlobalMaxPool", "x")
    assert ops_of(assert_matches(model.data())) == ["MAX_POOL_2D"]


@pytest.mark.parametrize(
    ("kind", "attributes", "names"),
    [
        ("Relu", {}, ["RELU"]),
        ("Sigmoid", {}, ["LOGISTIC"]),
        ("HardSwish", {}, ["HARD_SWISH"]),
        ("HardSigmoid", {"alpha": 1 / 6}, ["ADD", "MUL"]),
        ("HardSigmoid", {}, ["DEPTHWISE_CONV_2D", "MUL"]),
        ("Neg", {}, ["MUL"]),
        ("Identity", {}, None),
        ("Dropout", {}, None),
    ],
)
def test_activations(kind: str, attributes: dict[str, Any], names: list[str] | None) -> None:
    model = Onnx(x=IMAGE)
    y = model.node(kind, "x", **attributes)
    if names is None:
        model.node("Relu", y)
    assert ops_of(assert_matches(model.data())) == (names or ["RELU"])


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 6), (0, None), (None, 2), (-1, 1), (0, 1), (-2, 3), (0.5, None), (None, None)],
)
def test_clip_with_any_bounds(low: float | None, high: float | None) -> None:
    bounds = [None if b is None else np.float32(b) for b in (low, high)]
    model = Onnx(x=IMAGE)
    model.node("Sigmoid", model.node("Clip", "x", *bounds))
    graph = assert_matches(model.data())
    assert len(graph.nodes) <= 4
    old = Onnx(opset=9, x=IMAGE)
    attributes = {name: b for name, b in (("min", low), ("max", high)) if b is not None}
    old.node("Sigmoid", old.node("Clip", "x", **{k: float(b) for k, b in attributes.items()}))
    assert_matches(old.data())


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0.0, 6.0, ["CONV_2D"]),
        (None, 0.9, ["CONV_2D", "MUL"]),
        (0.1, 0.9, ["CONV_2D", "DEPTHWISE_CONV_2D"]),
        (-2.0, 0.9, ["CONV_2D", "MUL"]),
        (-2.0, -1.0, None),
    ],
)
def test_clip_behind_a_relu_makes_it_superfluous(
    low: float | None, high: float, names: list[str] | None
) -> None:
    model = conv()
    bounds = (None if low is None else np.float32(low), np.float32(high))
    model.node("Clip", model.node("Relu", model.outputs[0]), *bounds)
    graph = assert_matches(model.data())
    assert names is None or ops_of(graph) == names


def test_clip_to_six_is_one_activation() -> None:
    model = conv(pads=[1] * 4)
    model.node("Min", model.node("Max", "conv0", np.float32(0)), np.float32(6))
    (node,) = assert_matches(model.data()).nodes
    assert isinstance(node.op, ops.Conv2D)
    assert node.op.activation is Activation.RELU6


@pytest.mark.parametrize(
    ("kind", "swap"), [(k, s) for k in ("Add", "Sub", "Mul") for s in (0, 1)] + [("Div", 0)]
)
@pytest.mark.parametrize("shape", [(), (1,), (4, 1, 1), (1, 4, 1, 1), (9, 10), (10,), (1, 1, 9, 1)])
def test_arithmetic_with_constants(kind: str, shape: tuple[int, ...], swap: int) -> None:
    constant = random(*shape) + np.float32(3)
    model = Onnx(x=IMAGE)
    model.node(kind, *([constant, "x"] if swap else ["x", constant]))
    assert_matches(model.data())


def test_constants_may_broadcast_the_tensor() -> None:
    model = Onnx(x=(1, 4, 1, 1))
    model.node("Mul", "x", random(1, 4, 3, 5))
    assert_matches(model.data())


@pytest.mark.parametrize("kind", ["Add", "Sub", "Mul"])
@pytest.mark.parametrize("other", [IMAGE, (1, 4, 1, 1), (1, 1, 9, 10), (1, 1, 1, 1)])
def test_arithmetic_of_two_tensors(kind: str, other: tuple[int, ...]) -> None:
    for order in (["x", "y"], ["y", "x"]):
        model = Onnx(x=IMAGE, y=other)
        a, b = (
            model.node("Conv", n, random(*[{"x": IMAGE, "y": other}[n][1]] * 2, 1, 1))
            for n in order
        )
        model.node(kind, a, b)
        assert "TRANSPOSE" not in ops_of(assert_matches(model.data()))


def test_squeeze_and_excite_through_a_flat_vector() -> None:
    model = Onnx(x=IMAGE)
    x = model.node("Conv", "x", random(4, 4, 1, 1))
    pooled = model.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    gate = model.node("Sigmoid", model.node("Gemm", pooled, random(4, 4), random(4)))
    gate = model.node("Unsqueeze", gate, np.array([2, 3], np.int64))
    model.node("Mul", x, gate)
    graph = assert_matches(model.data())
    assert ops_of(graph) == ["CONV_2D", "MEAN", "FULLY_CONNECTED", "LOGISTIC", "RESHAPE", "MUL"]


def batch_norm(channels: int) -> list[np.ndarray]:
    parts = [random(channels, seed=seed) for seed in range(4)]
    return [*parts[:3], np.abs(parts[3]) + np.float32(0.1)]


def test_batch_norm_folds_into_the_convolution_before() -> None:
    model = conv(pads=[1] * 4)
    model.node("Relu", model.node("BatchNormalization", "conv0", *batch_norm(6)))
    assert ops_of(assert_matches(model.data())) == ["CONV_2D"]


@pytest.mark.parametrize(("pads", "count"), [([0] * 4, 1), ([1] * 4, 2)])
def test_batch_norm_folds_into_the_convolution_after_if_not_padded(
    pads: list[int], count: int
) -> None:
    model = Onnx(x=IMAGE)
    y = model.node("BatchNormalization", "x", *batch_norm(4))
    model.node("Conv", y, random(6, 4, 3, 3), pads=pads)
    graph = assert_matches(model.data())
    assert ops_of(graph) == ["DEPTHWISE_CONV_2D", "CONV_2D"][-count:]


def test_batch_norm_alone_is_one_depthwise_convolution() -> None:
    model = Onnx(x=IMAGE)
    model.node("Relu", model.node("BatchNormalization", "x", *batch_norm(4)))
    (node,) = assert_matches(model.data()).nodes
    assert isinstance(node.op, ops.DepthwiseConv2D)
    assert node.op.activation is Activation.RELU


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("bias", [None, (), (1,), (3,), (1, 3)])
def test_gemm(trans: int, bias: tuple[int, ...] | None) -> None:
    weights = random(*((3, 5) if trans else (5, 3)))
    operands = ["x", weights] if bias is None else ["x", weights, random(*bias)]
    model = Onnx(x=(1, 5))
    model.node("Gemm", *operands, transB=trans, alpha=0.5, beta=2.0)
    assert ops_of(assert_matches(model.data())) == ["FULLY_CONNECTED"]


def test_matmul_and_add_are_one_layer() -> None:
    model = Onnx(x=(1, 5))
    y = model.node("Add", model.node("MatMul", "x", random(5, 3)), random(3))
    model.node("Relu", y)
    assert ops_of(assert_matches(model.data())) == ["FULLY_CONNECTED"]


def test_matmul_on_many_rows_is_a_pointwise_convolution() -> None:
    model = Onnx(x=(1, 7, 5))
    y = model.node("Add", model.node("MatMul", "x", random(5, 3)), random(3))
    model.node("Relu", y)
    graph = assert_matches(model.data(), first=False)
    assert "CONV_2D" in ops_of(graph)


@pytest.mark.parametrize("opset", [11, 13])
@pytest.mark.parametrize("shape", [(1, 6), (1, 6, 1, 1), (1, 6, 1, 2), (1, 1, 2, 3)])
@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax_of_both_definitions(opset: int, shape: tuple[int, ...], axis: int) -> None:
    model = Onnx(opset=opset, x=shape)
    model.node("Flatten", model.node("Softmax", model.node("Relu", "x"), axis=axis))
    assert_matches(model.data())


@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [1], [3], [1, 2, 3], None])
@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("opset", [13, 18])
def test_reduce_mean(axes: list[int] | None, keep: int, opset: int) -> None:
    model = Onnx(opset=opset, x=IMAGE)
    if opset == 18 or axes is None:
        given = None if axes is None else np.array(axes, np.int64)
        model.node("ReduceMean", "x", *([given] if given is not None else []), keepdims=keep)
    else:
        model.node("ReduceMean", "x", axes=axes, keepdims=keep)
    if axes is None or len(axes) == 1:
        model.node("Sigmoid", model.node("Flatten", model.outputs[0], axis=0))
    assert_matches(model.data())


def test_concat_on_every_axis() -> None:
    for axis, other in ((1, (1, 2, 9, 10)), (2, (1, 4, 3, 10)), (-1, (1, 4, 9, 2))):
        model = Onnx(x=IMAGE, y=other)
        model.node("Concat", model.node("Relu", "x"), model.node("Relu", "y"), axis=axis)
        assert ops_of(assert_matches(model.data())) == ["RELU", "RELU", "CONCATENATION"]


def test_split_and_slices_are_one_split() -> None:
    model = Onnx(x=IMAGE)
    a, b = model.node("Split", "x", axis=1, outputs=2)
    model.node("Concat", b, model.node("Relu", a), axis=1)
    wanted = ["SPLIT", "RELU", "CONCATENATION"]
    assert ops_of(assert_matches(model.data())) == wanted
    model = Onnx(x=IMAGE)
    ends = [np.array([value], np.int64) for value in (0, 2, 2**62, 1)]
    a = model.node("Slice", "x", ends[0], ends[1], ends[3])
    b = model.node("Slice", "x", ends[1], ends[2], ends[3])
    model.node("Concat", b, model.node("Relu", a), axis=1)
    assert ops_of(assert_matches(model.data())) == wanted


@pytest.mark.parametrize("value", [0.0, -1.5])
@pytest.mark.parametrize("opset", [9, 13])
def test_pad(value: float, opset: int) -> None:
    pads = [0, 1, 0, 2, 0, 0, 3, 1]
    model = Onnx(opset=opset, x=IMAGE)
    if opset == 9:
        model.node("Pad", "x", pads=pads, value=value)
    else:
        model.node("Pad", "x", np.array(pads, np.int64), np.float32(value))
    assert ops_of(assert_matches(model.data())) == ["PADV2" if value else "PAD"]


def test_zero_pad_folds_into_the_convolution() -> None:
    model = Onnx(x=(1, 4, 8, 8))
    y = model.node("Pad", "x", np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64))
    model.node("Conv", y, random(6, 4, 3, 3), strides=[2, 2])
    assert ops_of(assert_matches(model.data())) == ["CONV_2D"]


@pytest.mark.parametrize("permutation", [(0, 1, 3, 2), (0, 2, 3, 1), (0, 3, 1, 2)])
def test_transposes_that_remain_are_right(permutation: tuple[int, ...]) -> None:
    model = Onnx(x=IMAGE)
    y = model.node("Transpose", model.node("Conv", "x", random(4, 4, 1, 1)), perm=permutation)
    channels = [IMAGE[axis] for axis in permutation][1]
    model.node("Conv", y, random(2, channels, 1, 1))
    assert ops_of(assert_matches(model.data())).count("TRANSPOSE") == 1


def test_size_chains_are_folded() -> None:
    model = Onnx(x=IMAGE)
    sizes = model.node("Shape", "x")
    batch = model.node("Gather", sizes, np.array([0], np.int64))
    rest = model.node("Concat", batch, np.array([-1], np.int64), axis=0)
    y = model.node("Reshape", model.node("Relu", "x"), rest)
    model.node("Gemm", y, random(360, 3), random(3))
    assert ops_of(assert_matches(model.data())) == ["RELU", "RESHAPE", "FULLY_CONNECTED"]


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1], [-2]])
def test_reduce_max_over_pixels_is_a_pool(axes: list[int], keep: int) -> None:
    model = Onnx(x=IMAGE)
    model.node(
        "Flatten", model.node("ReduceMax", model.node("Relu", "x"), axes=axes, keepdims=keep)
    )
    assert "MAX_POOL_2D" in ops_of(assert_matches(model.data()))


def test_gather_of_everything_in_order_is_a_view() -> None:
    model = Onnx(x=IMAGE)
    y = model.node("Flatten", model.node("GlobalAveragePool", "x"), axis=0)
    y = model.node("Gather", model.node("Squeeze", y, np.array([0])), np.array([[0, 1, -2, 3]]))
    model.node("Gemm", y, random(4, 3), random(3))
    assert ops_of(assert_matches(model.data())) == ["MEAN", "FULLY_CONNECTED"]


def test_scaler_of_scikit_learn_folds_into_the_layer() -> None:
    model = Onnx(x=(1, 6))
    y = model.node("Scaler", "x", domain="ai.onnx.ml", offset=random(6), scale=random(6, seed=1))
    model.node("Gemm", y, random(6, 3), random(3))
    proto = model.proto()
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    assert ops_of(assert_matches(proto.SerializeToString())) == ["FULLY_CONNECTED"]


def test_matmul_on_channels_last_pictures_moves_nothing() -> None:
    model = Onnx(x=IMAGE)
    y = model.node("Transpose", model.node("Relu", "x"), perm=[0, 2, 3, 1])
    y = model.node("Add", model.node("MatMul", y, random(4, 5)), random(5, seed=1))
    model.node("Transpose", y, perm=[0, 3, 1, 2])
    assert ops_of(assert_matches(model.data())) == ["RELU", "CONV_2D"]
