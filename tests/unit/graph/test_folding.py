"""Folding: fewer channels, the same bits; and bounds that hold for every input there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet, single_op_graphs
from support.op_cases import assert_equals_tflm, rng_of
from support.shared import shared_file

from edgekit.convert import tflite_reader
from edgekit.graph import ops
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.passes.folding import fold
from edgekit.graph.passes.folding.intervals import bounds_of
from edgekit.graph.verify import verify

Values = np.ndarray
ZERO_POINT = -7


def changed(graph: Graph, edits: Mapping[str, Callable[[Values], Any]]) -> Graph:
    """The graph with the constants of these names edited: each function alters a copy."""
    tensors = dict(graph.tensors)
    for name, edit in edits.items():
        data = np.array(tensors[name].data)
        edit(data)
        tensors[name] = replace(tensors[name], data=data)
    return replace(graph, tensors=tensors)


def samples(graph: Graph, count: int = 24) -> list[Values]:
    """Random inputs; the first are as low, as high, and as zero as can be."""
    random = np.random.default_rng(3)
    inputs = []
    for tensor in (graph.tensors[name] for name in graph.inputs):
        values = random.integers(-128, 128, (count, *tensor.shape[1:])).astype(np.int8)
        values[0], values[1], values[2] = -128, 127, tensor.quantization.zero_point
        inputs.append(values)
    return inputs


def assert_folds(graph: Graph, **shapes: tuple[int, ...]) -> Graph:
    """Folding keeps the outputs' bits; these tensors then have these shapes."""
    verify(graph)
    folded = fold(graph)
    verify(folded)
    assert (folded.inputs, folded.outputs) == (graph.inputs, graph.outputs)
    inputs = samples(graph)
    for ours, given in zip(run(folded, inputs), run(graph, inputs), strict=True):
        np.testing.assert_array_equal(ours, given)
    assert {name: folded.tensors[name].shape for name in shapes} == shapes
    return folded


def start(channels: int = 8, size: int = 6, seed: int = 1) -> tuple[GraphBuilder, str]:
    b = GraphBuilder(seed=seed)
    return b, b.input("x", (1, size, size, channels), b.int8(0.02, ZERO_POINT))


def rows(*which: int, value: int = 0) -> Callable[[Values], None]:
    """Output channels of a convolution or a dense layer."""

    def edit(data: Values) -> None:
        data[list(which)] = value

    return edit


def columns(*which: int) -> Callable[[Values], None]:
    """The last axis: input channels of those, channels of a depthwise convolution."""

    def edit(data: Values) -> None:
        data[..., list(which)] = 0

    return edit


# Bounds


def every_pair() -> Values:
    """All that two int8 values can be: (65536, 1, 1, 2, 1)."""
    return np.array(list(product(range(-128, 128), repeat=2)), np.int8).reshape(-1, 1, 2, 1)


def _layers(b: GraphBuilder, x: str) -> Iterator[tuple[str, bool]]:
    """One node each, and whether its bounds are reached (else they only hold)."""
    fits = {"quantization": b.int8(1.1, 4)}
    yield b.conv(x, 3, (1, 2), padding=Padding.VALID, **fits), True
    yield b.conv(x, 3, (1, 3), **fits), True
    yield b.conv(x, 3, (1, 1), activation=Activation.RELU, **fits), True
    yield b.depthwise(x, (1, 3), multiplier=3, **fits), True
    yield b.fully_connected(x, 4), True
    yield b.add(ops.MaxPool2D((1, 2)), x), True
    yield b.add(ops.AveragePool2D((1, 2), padding=Padding.SAME), x), True
    yield b.add(ops.Mean(), x, b.ints("axes", [1, 2]), quantization=b.int8(0.013, 9)), True
    yield b.add(ops.HardSwish(), x, quantization=b.int8(0.015, 3)), True
    yield b.add(ops.Logistic(), x, quantization=b.int8(1 / 256, -128)), True
    yield b.add(ops.Relu(), x, quantization=b.int8(0.015, 3)), True
    yield b.add(ops.Quantize(), x, quantization=b.int8(0.4, 3)), True
    yield b.add(ops.Pad(), x, b.ints("widths", [[0, 0], [1, 0], [0, 1], [0, 2]])), True
    yield b.add(ops.Transpose(), x, b.ints("order", [0, 2, 1, 3])), True
    yield b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)), False
    other = b.constant("other", np.array([[[[-60], [90]]]], np.int8), b.int8(0.05, 20))
    yield b.add(ops.Add(), x, other, quantization=b.int8(0.04, 9)), True
    yield b.add(ops.Sub(), other, x, quantization=b.int8(0.04, 9)), True
    yield b.add(ops.Mul(), x, other, quantization=b.int8(0.02, -4)), True
    yield b.add(ops.Mul(), x, x, quantization=b.int8(0.02, -4)), False
    yield b.add(ops.Sub(), x, x, quantization=b.int8(0.04, 9)), False
    yield b.add(ops.Concatenation(axis=3), x, x), True


@pytest.mark.slow
def test_bounds_hold_for_every_input_and_are_reached() -> None:
    b = GraphBuilder(seed=4)
    x = b.input("x", (1, 1, 2, 1), b.int8(0.02, 5))
    reached = dict(_layers(b, x))
    graph = b.build(*reached)
    verify(graph)
    bounds = bounds_of(graph)
    outputs = run(graph, [every_pair()])
    for (name, is_reached), values in zip(reached.items(), outputs, strict=True):
        low, high = values.min(axis=0), values.max(axis=0)
        mine = (bounds[name].low[0], bounds[name].high[0])
        if is_reached:
            np.testing.assert_array_equal(mine, (low, high), err_msg=name)
        assert (mine[0] <= low).all() and (high <= mine[1]).all(), name


def test_bounds_hold_through_layers() -> None:
    b = GraphBuilder(seed=5)
    x = b.input("x", (1, 1, 2, 1), b.int8(0.02, 5))
    y = b.conv(x, 4, (1, 3), activation=Activation.RELU6, quantization=b.int8(0.02, -100))
    z = b.depthwise(y, (1, 3), activation=Activation.RELU)
    w = b.add(ops.Add(), y, z, quantization=b.int8(0.04, -120))
    names = (y, z, w, b.fully_connected(w, 3))
    graph = b.build(*names)
    bounds = bounds_of(graph)
    for name, values in zip(names, run(graph, [every_pair()]), strict=True):
        assert (bounds[name].low <= values).all() and (values <= bounds[name].high).all()


def test_sums_that_could_overflow_have_no_bounds() -> None:
    """A left shift wraps, and so does what follows: a larger sum may give a smaller output."""
    b = GraphBuilder()
    x = b.input("x", (1, 2), b.int8(1.0))
    y = b.fully_connected(x, 2, quantization=b.int8(2.0**-20))
    graph = changed(b.build(y), {f"{y}/weights": rows(1)})
    scales = np.full(2, 1.0, np.float32)
    weights = replace(
        graph.tensors[f"{y}/weights"], quantization=Quantization.per_channel(scales, 0)
    )
    bias = replace(graph.tensors[f"{y}/bias"], quantization=None)
    graph = replace(graph, tensors={**graph.tensors, weights.name: weights, bias.name: bias})
    bound = bounds_of(graph)[y]
    assert (bound.low[0, 0], bound.high[0, 0]) == (-128, 127)
    assert bound.low[0, 1] == bound.high[0, 1]  # no weights: one sum, whatever it wraps to


# Channels


def test_a_channel_that_nobody_reads_goes_with_all_that_made_it() -> None:
    b, x = start()
    y = b.conv(x, 8, (3, 3))
    z = b.depthwise(y, (3, 3))
    graph = b.build(b.conv(z, 8, (1, 1), name="last"))
    graph = changed(graph, {"last/weights": columns(1, 4, 6, 7)})
    assert_folds(graph, **{y: (1, 6, 6, 4), z: (1, 6, 6, 4), "last": (1, 6, 6, 8)})


def test_channels_stay_in_fours() -> None:
    b, x = start()
    y = b.conv(x, 8, (3, 3))
    graph = changed(b.build(b.conv(y, 8, (1, 1), name="last")), {"last/weights": columns(1, 4, 6)})
    assert fold(graph) is graph
    graph = changed(graph, {"last/weights": columns(0)})
    assert_folds(graph, **{y: (1, 6, 6, 4)})


def with_constant_channels(last: Callable[[GraphBuilder, str], str], value: int) -> Graph:
    """Channels 2, 3, 5 and 7 of what the last layer reads are always `value` steps above zero."""
    b, x = start()
    y = b.conv(x, 8, (1, 1), name="first", quantization=b.int8(0.1, ZERO_POINT))
    graph = b.build(last(b, y))
    weights = graph.tensors["first/weights"].quantization
    assert weights is not None
    sums = np.round(value * 0.1 / (weights.scales * np.float32(0.02))).astype(np.int32)

    def fix(data: Values) -> None:
        data[[2, 3, 5, 7]] = sums[[2, 3, 5, 7]]

    return changed(graph, {"first/weights": rows(2, 3, 5, 7), "first/bias": fix})


@pytest.mark.parametrize("value", [0, 20, -11])
@pytest.mark.parametrize("padding", Padding)
def test_a_constant_channel_is_folded_unless_padding_beside_it_differs(
    value: int, padding: Padding
) -> None:
    graph = with_constant_channels(lambda b, y: b.conv(y, 8, (3, 3), padding=padding), value)
    left = 8 if padding is Padding.SAME and value else 4
    folded = assert_folds(graph, first=(1, 6, 6, left))
    assert (folded is graph) == (left == 8)


def test_a_constant_channel_needs_no_input_where_it_stays() -> None:
    """It is written from the bias: what it was computed from goes."""
    b, x = start()
    y = b.conv(x, 8, (1, 1), name="source")
    z = b.conv(y, 8, (1, 1), name="constant", activation=Activation.RELU)
    graph = b.build(b.conv(z, 4, (3, 3), name="padded"))
    far = changed(graph, {"constant/bias": rows(*range(4), value=2**26)})
    only = changed(far, {"constant/weights": lambda data: data[4:, ..., 4:].fill(0)})
    assert_folds(only, source=(1, 6, 6, 4), constant=(1, 6, 6, 8))


@pytest.mark.parametrize("value", [0, 20])
@pytest.mark.parametrize("bias", [0, 2**26])
def test_a_depthwise_channel_of_a_constant_is_one_if_its_borders_are(value: int, bias: int) -> None:
    """Inside it is constant; at borders it is not, unless it saturates everywhere."""

    def last(b: GraphBuilder, y: str) -> str:
        z = b.depthwise(y, (3, 3), name="depthwise", activation=Activation.RELU)
        return b.conv(z, 8, (1, 1))

    graph = with_constant_channels(last, value)
    graph = changed(graph, {"depthwise/bias": rows(*range(8), value=bias)})
    if bias:  # saturated whatever the input: all channels are constant
        assert_folds(graph, first=(1, 6, 6, 4), depthwise=(1, 6, 6, 4))
    else:
        left = 8 if value else 4
        assert_folds(graph, first=(1, 6, 6, left), depthwise=(1, 6, 6, left))


def test_a_saturated_depthwise_channel_needs_no_input() -> None:
    b, x = start()
    y = b.conv(b.conv(x, 8, (1, 1), name="source"), 8, (1, 1), name="y")
    z = b.depthwise(y, (3, 3), name="z", activation=Activation.RELU)
    graph = changed(b.build(b.conv(z, 4, (3, 3))), {"z/bias": rows(*range(8), value=2**26)})
    assert_folds(graph, source=(1, 6, 6, 4), y=(1, 6, 6, 8), z=(1, 6, 6, 8))


def test_both_operands_of_a_sum_keep_the_same_channels() -> None:
    b, x = start()
    y = b.conv(x, 8, (3, 3), name="y")
    z = b.add(ops.Add(), y, b.conv(y, 8, (1, 1), name="z"), name="sum", quantization=b.int8(0.2))
    graph = b.build(b.conv(z, 4, (1, 1), name="last"))
    dead = {"last/weights": columns(0, 1, 2, 3)}
    assert_folds(changed(graph, dead), y=(1, 6, 6, 8), z=(1, 6, 6, 8), sum=(1, 6, 6, 8))
    also = {**dead, "z/weights": columns(0, 1, 2, 3)}
    shape = (1, 6, 6, 4)
    assert_folds(changed(graph, also), y=shape, z=shape, sum=shape)


def test_joined_tensors_lose_their_own_channels() -> None:
    b, x = start()
    y, z = b.conv(x, 8, (1, 1), name="y"), b.conv(x, 8, (1, 1), name="z")
    level = b.constant("level", np.full((1, 6, 6, 8), 9, np.int8), b.int8(0.1))
    same = {"quantization": b.tensors[y].quantization}
    for name in (z, level):
        b.tensors[name] = replace(b.tensors[name], **same)
    joined = b.add(ops.Concatenation(axis=3), y, level, z, name="joined")
    graph = b.build(b.conv(joined, 4, (1, 1), name="last"))
    graph = changed(graph, {"last/weights": columns(0, 1, 2, 3, 20, 21, 22, 23)})
    shape = (1, 6, 6, 4)
    assert_folds(graph, y=shape, z=shape, level=shape, joined=(1, 6, 6, 12))


def test_a_flattened_image_has_one_channel_a_pixel() -> None:
    b, x = start(channels=8, size=2)
    y = b.conv(x, 8, (1, 1), name="y")
    graph = b.build(b.fully_connected(b.flatten(y, "flat"), 5, name="last"))

    def all_pixels(data: Values) -> None:
        data.reshape(5, 4, 8)[..., :4] = 0

    def one_pixel(data: Values) -> None:
        data[:, :8] = 0

    assert_folds(changed(graph, {"last/weights": all_pixels}), y=(1, 2, 2, 4), flat=(1, 16))
    one = changed(graph, {"last/weights": one_pixel})
    assert fold(one) is one


def test_a_shared_constant_is_not_changed_for_others() -> None:
    b, x = start()
    y, z = b.conv(x, 8, (1, 1), name="y"), b.conv(x, 8, (1, 1), name="z")
    graph = b.build(b.conv(y, 4, (1, 1), name="last"), z)
    nodes = tuple(
        replace(node, inputs=(x, "y/weights", "y/bias")) if node.name == "z" else node
        for node in graph.nodes
    )
    graph = graph.with_nodes(nodes, graph.tensors)
    graph = changed(graph, {"last/weights": columns(0, 1, 2, 3)})
    folded = assert_folds(graph, y=(1, 6, 6, 4), z=(1, 6, 6, 8))
    assert folded.nodes[0].inputs[1] != folded.nodes[1].inputs[1]


def test_rows_of_a_dense_layer_keep_their_scales() -> None:
    """Per channel: a single row left would be rescaled as TFLite does it per tensor."""
    b = GraphBuilder(seed=2)
    x = b.input("x", (1, 6), b.int8(0.02))
    y = b.fully_connected(x, 6, name="y")
    scales = b.random.uniform(0.002, 0.006, 6).astype(np.float32)
    per_channel = {"quantization": Quantization.per_channel(scales, 0)}
    b.tensors["y/weights"] = replace(b.tensors["y/weights"], **per_channel)
    b.tensors["y/bias"] = replace(b.tensors["y/bias"], quantization=None)
    graph = b.build(b.fully_connected(y, 3, name="last"))
    folded = assert_folds(changed(graph, {"last/weights": columns(0, 1, 2, 3, 4)}), y=(1, 4))
    weights = folded.tensors["y/weights"].quantization
    assert weights is not None and weights.is_per_channel and scales[5] in weights.scales


# Whole tensors


def test_a_constant_branch_becomes_a_constant() -> None:
    """Of one pixel; where borders differ, it is computed."""
    b, x = start()
    y = b.conv(x, 8, (3, 3), name="y")
    z = b.depthwise(b.conv(b.conv(x, 8, (3, 3)), 8, (1, 1), name="dead"), (1, 1), name="z")
    graph = b.build(b.add(ops.Add(), y, z, quantization=b.int8(0.2)))
    folded = assert_folds(changed(graph, {"dead/weights": rows(*range(8))}))
    assert [node.name for node in folded.nodes] == ["y", "add_4"]
    assert folded.tensors["z"].is_constant and folded.tensors["z"].shape == (1, 1, 1, 8)
    assert_equals_tflm(folded, rng_of(1))


def test_a_constant_output_is_still_computed_from_an_activation() -> None:
    """No kernel takes constants alone, and outputs are written by a node."""
    b, x = start()
    y, z = b.conv(x, 8, (1, 1), name="y"), b.conv(x, 8, (1, 1), name="z")
    graph = b.build(b.add(ops.Add(), y, z, name="sum", quantization=b.int8(0.2)))
    dead = {f"{name}/weights": rows(*range(8)) for name in (y, z)}
    folded = assert_folds(changed(graph, dead))
    assert not all(tensor.is_constant for tensor in folded.inputs_of(folded.nodes[-1]))


def test_a_layer_without_live_channels_keeps_a_word_of_them() -> None:
    b, x = start()
    y = b.conv(x, 8, (3, 3), name="y")
    z = b.conv(y, 8, (1, 1), name="z")
    graph = changed(b.build(z), {"z/weights": rows(*range(8))})
    folded = assert_folds(graph, y=(1, 6, 6, 4), z=(1, 6, 6, 8))
    assert graph_cost(folded).macs < graph_cost(graph).macs


def test_what_nothing_can_be_left_out_of_stays_as_it_is() -> None:
    for graph in (convnet(), convnet(quantized=False)):
        assert fold(graph) is graph
    for graph in single_op_graphs(quantized=False).values():
        assert fold(graph) is graph


def test_uint8_stays_as_it_is() -> None:
    tensors = [
        Tensor("x", (1, 2, 2, 8), DType.UINT8, Quantization.per_tensor(0.1, 3)),
        Tensor.constant("w", np.full((8, 1, 1, 8), 7, np.uint8), Quantization.per_tensor(0.1, 7)),
        Tensor("y", (1, 2, 2, 8), DType.UINT8, Quantization.per_tensor(0.1, 3)),
    ]
    node = Node("n", ops.Conv2D(), ("x", "w"), ("y",))
    graph = Graph("g", {t.name: t for t in tensors}, (node,), ("x",), ("y",))
    verify(graph)
    assert fold(graph) is graph


def test_a_bias_that_leaves_32_bits_wraps_as_the_sum_did() -> None:
    graph = with_constant_channels(lambda b, y: b.fully_connected(y, 4, name="last"), 100)
    most = np.iinfo(np.int32).max
    graph = changed(
        graph,
        {
            "last/bias": rows(*range(4), value=most - 5),
            "last/weights": lambda data: np.maximum(data, 1, out=data),
        },
    )
    assert_folds(graph, first=(1, 6, 6, 4))


# Random networks


def random_network(seed: int) -> Graph:
    """Up to nine layers; of the weights whole rows and columns are zero, biases often large."""
    b, x = start(channels=int(rng_of(seed).integers(1, 9)), size=5, seed=seed)
    random = b.random
    for _ in range(random.integers(2, 8)):
        x = _random_layer(b, x, random)
    if random.random() < 0.5:
        x = b.add(ops.Mean(), x, b.ints("axes", [1, 2]))
    if random.random() < 0.7:
        x = b.fully_connected(x, int(random.integers(1, 6)))
    return _thinned(b.build(x), random)


def _random_layer(b: GraphBuilder, x: str, random: np.random.Generator) -> str:
    activation = random.choice([Activation.NONE, Activation.RELU, Activation.RELU6])
    window = {"activation": activation, "padding": random.choice(list(Padding))}
    channels = b.tensors[x].shape[3]
    size = 3 if min(b.tensors[x].shape[1:3]) >= 3 else 1
    kind = random.integers(8)
    if kind <= 1:
        return b.conv(x, int(random.integers(1, 14)), (size, size), **window)
    if kind == 2:
        return b.conv(x, int(random.integers(1, 14)), (1, 1), activation=activation)
    if kind == 3:
        return b.depthwise(x, (size, size), multiplier=int(random.integers(1, 3)), **window)
    if kind == 4:
        other = b.conv(x, channels, (1, 1))
        binary = random.choice([ops.Add, ops.Sub, ops.Mul])
        return b.add(binary(), x, other, quantization=b.int8(0.3, -10))
    if kind == 5:
        pool = random.choice([ops.AveragePool2D, ops.MaxPool2D])
        return b.add(pool((1, size), padding=Padding.SAME), x)
    if kind == 6:
        same = b.tensors[x].quantization
        other = b.conv(x, int(random.integers(1, 6)), (1, 1), quantization=same)
        return b.add(ops.Concatenation(axis=3), x, other)
    if random.random() < 0.5:
        return b.add(ops.HardSwish(), x)
    widths = b.ints(f"widths_{len(b.nodes)}", [[0, 0], [1, 0], [0, 1], [0, 0]])
    return b.add(ops.Pad(), x, widths)


def _thinned(graph: Graph, random: np.random.Generator) -> Graph:
    edits: dict[str, Callable[[Values], Any]] = {}
    for tensor in graph.constants():
        if tensor.name.endswith("/weights"):
            shares = random.random(2) * [0.8, 0.6]
            edits[tensor.name] = lambda data, shares=shares: _thin(data, random, *shares)
        if tensor.name.endswith("/bias") and random.random() < 0.3:
            edits[tensor.name] = lambda data: np.multiply(data, 4, out=data)
    return changed(graph, edits)


def _thin(data: Values, random: np.random.Generator, of_rows: float, of_columns: float) -> None:
    data[random.random(data.shape[0]) < of_rows * (data.shape[0] > 1)] = 0
    data[..., random.random(data.shape[-1]) < of_columns] = 0


def test_random_networks_keep_their_bits() -> None:
    saved = 0
    for seed in range(60):
        graph = random_network(seed)
        folded = assert_folds(graph)
        saved += graph_cost(folded).macs < graph_cost(graph).macs
    assert saved > 25


def test_visual_wake_words_take_half_of_the_macs() -> None:
    graph = tflite_reader.read(shared_file("models/vww_96_int8.tflite"))
    assert graph_cost(graph).macs == 7_489_664
    assert graph_cost(assert_folds(graph)).macs == 3_766_476


@pytest.mark.parametrize("seed", range(6))
def test_tflite_micro_computes_the_folded_network(seed: int) -> None:
    """And so, as the reference gives the same for both, the given one's outputs."""
    graph = random_network(seed)
    assert_equals_tflm(fold(graph), rng_of(seed))
