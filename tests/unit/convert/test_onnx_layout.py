"""Whole networks of other frameworks: layouts cancel, flattens permute weights, names survive."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_cases import assert_matches, expected, ops_of
from support.onnx_models import Onnx, random

from edgekit.convert.onnx_graph import read
from edgekit.convert.onnx_layout import View, over_split
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def keras_like(channels: int = 3) -> Onnx:
    """What tf2onnx writes: an NHWC input, transposed around every convolution and pool."""
    model = Onnx(x=("N", 12, 10, channels))
    y = model.node("Transpose", "x", perm=TO_NCHW)
    y = model.node("Conv", y, random(8, channels, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    y = model.node("Transpose", y, perm=TO_NHWC)
    y = model.node("Add", y, random(8))
    y = model.node("Clip", y, np.float32(0), np.float32(6))
    y = model.node("Transpose", y, perm=TO_NCHW)
    y = model.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = model.node("Transpose", y, perm=TO_NHWC)
    y = model.node("Reshape", y, np.array([-1, 3 * 2 * 8], np.int64))
    y = model.node("Add", model.node("MatMul", y, random(48, 5)), random(5))
    model.node("Softmax", y)
    return model


def test_keras_transposes_cancel() -> None:
    graph = assert_matches(keras_like().data(), first=False)
    wanted = ["CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert ops_of(graph) == wanted
    assert graph.tensors["x"].shape == (1, 12, 10, 3)


def test_one_channel_is_transposed_by_a_reshape() -> None:
    model = Onnx(x=(1, 8, 6, 1))
    y = model.node("Reshape", "x", np.array([1, 1, 8, 6], np.int64))
    y = model.node("Relu", model.node("Conv", y, random(4, 1, 3, 3)))
    model.node("Gemm", model.node("Flatten", y), random(96, 3))
    graph = assert_matches(model.data(), first=False)
    assert ops_of(graph) == ["CONV_2D", "RESHAPE", "FULLY_CONNECTED"]
    assert graph.tensors["x"].shape == (1, 8, 6, 1)


@pytest.mark.parametrize("way", ["Flatten", "Reshape", "Shape"])
def test_flattened_pictures_permute_the_weights(way: str) -> None:
    model = Onnx(x=(1, 3, 5, 4))
    y = model.node("Relu", model.node("Conv", "x", random(6, 3, 1, 1)))
    if way == "Flatten":
        y = model.node("Flatten", y)
    elif way == "Reshape":
        y = model.node("Reshape", y, np.array([0, -1], np.int64))
    else:
        y = model.node("Reshape", y, np.array([1, 6, 20], np.int64))
        y = model.node("Squeeze", model.node("Flatten", y))
        y = model.node("Unsqueeze", y, np.array([0], np.int64))
    # Elementwise ops between the flatten and the product see constants in the flat order.
    y = model.node("Mul", y, random(120))
    model.node("Gemm", y, random(120, 7), random(7))
    graph = assert_matches(model.data())
    assert "TRANSPOSE" not in ops_of(graph)
    assert ops_of(graph)[-1] == "FULLY_CONNECTED"


def test_channel_shuffle_is_one_transpose() -> None:
    model = Onnx(x=(1, 6, 5, 4))
    y = model.node("Conv", "x", random(6, 6, 1, 1))
    y = model.node("Reshape", y, np.array([1, 2, 3, 5, 4], np.int64))
    y = model.node("Transpose", y, perm=(0, 2, 1, 3, 4))
    y = model.node("Reshape", y, np.array([1, 6, 5, 4], np.int64))
    model.node("Conv", y, random(4, 6, 1, 1))
    names = ops_of(assert_matches(model.data()))
    assert names == ["CONV_2D", "RESHAPE", "TRANSPOSE", "RESHAPE", "CONV_2D"]


def test_channel_shuffle_read_twice_is_one_transpose() -> None:
    model = Onnx(x=(1, 6, 4, 5))
    y = model.node("Reshape", "x", np.array([1, 2, 3, 4, 5]))
    y = model.node(
        "Reshape", model.node("Transpose", y, perm=[0, 2, 1, 3, 4]), np.array([1, 6, 4, 5])
    )
    parts = [
        model.node("Slice", y, np.array([k]), np.array([k + 3]), np.array([1])) for k in (0, 3)
    ]
    model.node("Concat", *(model.node("Relu", part) for part in parts), axis=1)
    names = ops_of(assert_matches(model.data()))
    assert (names.count("TRANSPOSE"), names.count("SPLIT")) == (1, 1)


def test_space_to_depth_fits_tflite_micro() -> None:
    """It has a transpose of 5 dimensions, not of the 6 that torch's PixelUnshuffle is made of."""
    model = Onnx(x=(1, 3, 8, 10))
    y = model.node("Reshape", "x", np.array([1, 3, 4, 2, 5, 2]))
    y = model.node("Transpose", y, perm=[0, 1, 3, 5, 2, 4])
    y = model.node("Reshape", y, np.array([1, 12, 4, 5]))
    model.node("Conv", y, random(4, 12, 1, 1))
    graph = assert_matches(model.data())
    (moved,) = [node for node in graph.nodes if node.op.tflite_name == "TRANSPOSE"]
    assert len(graph.tensors[moved.outputs[0]].shape) == 5


def test_more_dimensions_than_tflite_micro_moves_are_refused() -> None:
    model = Onnx(x=(1, 64))
    y = model.node("Reshape", "x", np.array([2, 2, 2, 2, 2, 2]))
    y = model.node("Reshape", model.node("Transpose", y), np.array([8, 8]))
    with pytest.raises(UnsupportedError, match="output 'reshape2' moves 6 dimensions at once"):
        read(model.data())
    model.node("MatMul", y, random(8, 3))
    with pytest.raises(UnsupportedError, match=r"\(MatMul\): moves 6 dimensions at once"):
        read(model.data())


@pytest.mark.parametrize("axis", [1, -3])
def test_unsqueezed_spectrograms_have_no_channels_to_move(axis: int) -> None:
    model = Onnx(x=(1, 40, 49))
    model.node("Conv", model.node("Unsqueeze", "x", np.array([axis])), random(4, 1, 3, 3))
    graph, x = read(model.data()), random(1, 40, 49)
    assert graph.tensors["x"].shape == (1, 40, 49)
    assert ops_of(graph) == ["RESHAPE", "CONV_2D"]
    (wanted,) = expected(model.data(), {"x": x})
    np.testing.assert_allclose(run(graph, [x])[0], wanted.transpose(TO_NHWC), atol=1e-5)


def test_unsqueezed_sequences_have_channels() -> None:
    model = Onnx(x=(1, 6, 20))
    model.node("Conv", model.node("Unsqueeze", "x", np.array([2])), random(4, 6, 1, 3))
    graph = assert_matches(model.data())
    assert ops_of(graph) == ["CONV_2D"]


def test_multilayer_perceptron() -> None:
    model = Onnx(features=(None, 9))
    y = model.node(
        "Relu", model.node("Add", model.node("MatMul", "features", random(9, 6)), random(6))
    )
    model.node("Softmax", model.node("Gemm", y, random(6, 4), random(4)))
    graph = assert_matches(model.data())
    assert ops_of(graph) == ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]


def test_paddle_like_head() -> None:
    """A 1x1 pool, a Reshape by a computed shape, HardSwish from HardSigmoid and a product."""
    model = Onnx(x=(None, 3, 8, 8))
    y = model.node("Conv", "x", random(8, 3, 3, 3), pads=[1] * 4)
    y = model.node("Mul", y, model.node("HardSigmoid", y, alpha=1 / 6))
    y = model.node("GlobalAveragePool", y)
    size = model.node("Slice", model.node("Shape", y), *(np.array([v], np.int64) for v in (0, 1)))
    y = model.node("Reshape", y, model.node("Concat", size, np.array([8], np.int64), axis=0))
    model.node("Add", model.node("MatMul", y, random(8, 4)), random(4))
    graph = assert_matches(model.data())
    assert ops_of(graph) == ["CONV_2D", "HARD_SWISH", "MEAN", "FULLY_CONNECTED"]


def test_names_are_those_of_the_model() -> None:
    model = keras_like()
    graph = read(model.data())
    assert graph.inputs == ("x",)
    assert graph.outputs == (model.outputs[0],)
    assert graph.nodes[0].name == "node_conv1"
    assert graph.nodes[0].inputs[1] == "constant0"


def test_output_that_is_only_a_view_gets_its_name() -> None:
    model = Onnx(x=(1, 3, 4, 4))
    y = model.node("Conv", model.node("GlobalAveragePool", "x"), random(5, 3, 1, 1))
    model.node("Flatten", y)
    graph = assert_matches(model.data())
    assert graph.outputs == (model.outputs[0],)
    assert graph.tensors[graph.outputs[0]].shape == (1, 5)


def test_chosen_output_drops_the_rest() -> None:
    model = Onnx(x=(1, 6))
    scores = model.node("Gemm", "x", random(6, 3))
    label = model.node("ArgMax", scores, axis=1)
    graph = read(model.data([label, scores]), outputs=[scores])
    assert ops_of(graph) == ["FULLY_CONNECTED"]


def test_same_bytes_give_the_same_graph() -> None:
    data = keras_like().data()
    first, second = read(data), read(data)
    assert [repr(node) for node in first.nodes] == [repr(node) for node in second.nodes]
    for name, tensor in first.tensors.items():
        np.testing.assert_array_equal(tensor.data, second.tensors[name].data)


NCHW = View("t", (1, 4, 5, 6), ((0,), (3,), (1,), (2,)))


def test_view_reads_nchw_over_nhwc() -> None:
    values = random(1, 6, 4, 5)
    stored = values.transpose(0, 2, 3, 1)
    assert NCHW.dims == (1, 6, 4, 5)
    np.testing.assert_array_equal(stored.reshape(-1), values.reshape(-1)[NCHW.graph_positions()])
    constant = random(6, 1, 5)
    np.testing.assert_array_equal(
        values * constant, (stored * NCHW.spread(constant)).transpose(0, 3, 1, 2)
    )


@pytest.mark.parametrize(
    ("dims", "possible"),
    [
        ((1, 120), True),
        ((6, 20), True),
        ((1, 6, 20, 1), True),
        ((24, 5), True),
        ((2, 3, 20), False),
    ],
)
def test_regrouping_needs_whole_axes(dims: tuple[int, ...], possible: bool) -> None:
    found = NCHW.regrouped(dims)
    assert (found is not None) == possible
    if found is not None:
        assert found.dims == dims
        order = NCHW.graph_positions()
        np.testing.assert_array_equal(found.graph_positions(), order)


def test_splitting_an_axis_in_place() -> None:
    split = NCHW.split_shape((1, 2, 3, 20))
    assert split == (1, 4, 5, 2, 3)
    view = View("t", split, over_split(NCHW, split)).regrouped((1, 2, 3, 20))
    assert view is not None
    np.testing.assert_array_equal(view.graph_positions(), NCHW.graph_positions())
    assert NCHW.split_shape((8, 15)) is None
