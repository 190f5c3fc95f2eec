"""Each rewrite of the float graph: when it applies, when it must not, and that nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.errors import InputError
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation, Padding
from edgekit.graph.passes import simplify, without_hard_swish
from edgekit.graph.passes.activations import fuse_activations
from edgekit.graph.passes.affine import fold_affine, merge_affine
from edgekit.graph.passes.hard_swish import expand_hard_swish, fuse_hard_swish
from edgekit.graph.passes.identities import drop_identities
from edgekit.graph.passes.means import use_means
from edgekit.graph.passes.pads import fold_pads, same_padding
from edgekit.graph.verify import verify

Values = np.ndarray
ZEROS = [0, 0]


def vector(b: GraphBuilder, name: str, count: int = 4, low: float = 0.5) -> str:
    return b.constant(name, b.random.uniform(low, 2, count).astype(np.float32))


def image(b: GraphBuilder, height: int = 8, width: int = 8) -> str:
    return b.input("x", (1, height, width, 4))


def names(graph: Graph) -> list[str]:
    return [node.op.tflite_name for node in graph.nodes]


def assert_equal_after(
    rewrite: Callable[[Graph], Graph], graph: Graph, wanted: list[str] | None
) -> Graph:
    """The rewritten graph is valid, has these ops (None: is the same object), computes the same."""
    changed = rewrite(graph)
    if wanted is None:
        assert changed is graph
        return graph
    verify(changed)
    assert names(changed) == wanted
    assert (changed.inputs, changed.outputs) == (graph.inputs, graph.outputs)
    random = np.random.default_rng(5)
    inputs = [
        random.normal(0, 2, graph.tensors[name].shape).astype(np.float32) for name in graph.inputs
    ]
    for a, b in zip(run(graph, inputs), run(changed, inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    return changed


@pytest.mark.parametrize("kind", ["conv", "grouped", "depthwise", "dense"])
@pytest.mark.parametrize("op", [ops.Mul, ops.Add])
@pytest.mark.parametrize("constant_first", [False, True])
def test_affine_folds_back(kind: str, op: type[ops.Op], constant_first: bool) -> None:
    b = GraphBuilder()
    x = image(b)
    if kind == "depthwise":
        y = b.depthwise(x, (3, 3))
    elif kind == "dense":
        y = b.fully_connected(b.flatten(x), 4)
    else:
        y = b.conv(x, 4, (3, 3), groups=2 if kind == "grouped" else 1)
    last = b.nodes[-1].op.tflite_name
    c = vector(b, "c")
    b.add(op(Activation.RELU), *((c, y) if constant_first else (y, c)), shape=b.tensors[y].shape)
    wanted = ["RESHAPE", last] if kind == "dense" else [last]
    changed = assert_equal_after(fold_affine, b.build(), wanted)
    assert changed.nodes[-1].op.activation is Activation.RELU  # type: ignore[attr-defined]


def test_affine_does_not_fold_back_over_an_activation_or_a_second_reader() -> None:
    b = GraphBuilder()
    y = b.conv(image(b), 4, (3, 3), activation=Activation.RELU)
    b.add(ops.Mul(), y, vector(b, "c", low=-2))
    assert_equal_after(fold_affine, b.build(), None)
    b = GraphBuilder()
    y = b.conv(image(b), 4, (3, 3))
    z = b.add(ops.Mul(), y, vector(b, "c"))
    assert_equal_after(fold_affine, b.build(b.add(ops.Add(), y, z)), None)
    b = GraphBuilder()
    y = b.conv(image(b), 4, (3, 3))
    b.add(ops.Mul(), y, vector(b, "c"))
    assert_equal_after(fold_affine, b.build(y, b.nodes[-1].outputs[0]), None)


def test_a_shared_weight_keeps_its_value_for_the_other_layer() -> None:
    b = GraphBuilder()
    x = image(b)
    first = b.conv(x, 4, (1, 1), name="first")
    second = b.add(ops.Conv2D(), x, "first/weights", "first/bias", name="second")
    scaled = b.add(ops.Mul(), second, vector(b, "c"))
    graph = b.build(b.add(ops.Add(), first, scaled))
    assert_equal_after(fold_affine, graph, ["CONV_2D", "CONV_2D", "ADD"])


@pytest.mark.parametrize(
    ("op", "padding", "folds"),
    [
        (ops.Mul, Padding.SAME, True),
        (ops.Mul, Padding.VALID, True),
        (ops.Add, Padding.VALID, True),
        (ops.Add, Padding.SAME, False),
    ],
)
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_affine_folds_forward_where_no_padding_sees_it(
    op: type[ops.Op], padding: Padding, folds: bool, kind: str
) -> None:
    b = GraphBuilder()
    y = b.add(op(), image(b), vector(b, "c"))
    if kind == "conv":
        b.conv(y, 5, (3, 3), padding=padding)
    else:
        b.depthwise(y, (3, 3), multiplier=2, padding=padding)
    wanted = [b.nodes[-1].op.tflite_name] if folds else None
    assert_equal_after(fold_affine, b.build(), wanted)


def test_sum_folds_into_a_pointwise_convolution_with_same_padding() -> None:
    b = GraphBuilder()
    b.conv(b.add(ops.Add(), image(b), vector(b, "c")), 5, (1, 1))
    assert_equal_after(fold_affine, b.build(), ["CONV_2D"])


@pytest.mark.parametrize(("op", "folds"), [(ops.Mul, True), (ops.Add, False)])
def test_only_a_product_crosses_a_pad(op: type[ops.Op], folds: bool) -> None:
    b = GraphBuilder()
    y = b.add(op(), image(b), vector(b, "c"))
    y = b.add(ops.Pad(), y, b.ints("p", [ZEROS, [1, 0], [1, 0], ZEROS]))
    b.conv(y, 5, (3, 3), padding=Padding.VALID)
    assert_equal_after(fold_affine, b.build(), ["PAD", "CONV_2D"] if folds else None)


def test_one_number_crosses_a_gate_and_a_mean() -> None:
    """What a hard sigmoid leaves in a squeeze-and-excite block ends in the next layer."""
    b = GraphBuilder()
    x = image(b)
    gate_ = b.add(ops.Mean(keep_dims=True), x, b.ints("axes", [1, 2]))
    scaled = b.add(ops.Mul(), gate_, b.constant("sixth", sixth()))
    b.conv(b.add(ops.Mul(), x, scaled), 3, (1, 1))
    assert_equal_after(fold_affine, b.build(), ["MEAN", "MUL", "CONV_2D"])
    b = GraphBuilder()
    y = b.add(ops.Mul(), image(b), vector(b, "c", 1))
    y = b.add(ops.Mean(), y, b.ints("axes", [1, 2]))
    b.fully_connected(y, 3)
    assert_equal_after(fold_affine, b.build(), ["MEAN", "FULLY_CONNECTED"])


def test_one_number_does_not_cross_a_square_or_an_activation() -> None:
    b = GraphBuilder()
    y = b.add(ops.Mul(), image(b), vector(b, "c", 1))
    b.conv(b.add(ops.Mul(), y, y), 3, (1, 1))
    assert_equal_after(fold_affine, b.build(), None)
    b = GraphBuilder()
    x = image(b)
    y = b.add(ops.Mul(), x, vector(b, "c", 1))
    b.conv(b.add(ops.Mul(Activation.RELU6), y, x), 3, (1, 1))
    assert_equal_after(fold_affine, b.build(), None)


def test_grouped_convolution_takes_one_number_only() -> None:
    for count in (1, 4):
        b = GraphBuilder()
        b.conv(b.add(ops.Mul(), image(b), vector(b, "c", count)), 4, (3, 3), groups=2)
        assert_equal_after(fold_affine, b.build(), ["CONV_2D"] if count == 1 else None)


def test_what_remains_becomes_one_depthwise_convolution() -> None:
    b = GraphBuilder()
    y = b.add(ops.Mul(), image(b), vector(b, "c"))
    b.add(ops.Add(Activation.RELU6), y, vector(b, "d", low=-2))
    changed = assert_equal_after(merge_affine, b.build(), ["DEPTHWISE_CONV_2D"])
    assert changed.nodes[0].op.activation is Activation.RELU6  # type: ignore[attr-defined]
    b = GraphBuilder()
    b.add(ops.Mul(), image(b), vector(b, "c", 1))
    assert_equal_after(merge_affine, b.build(), None)


def test_spatial_constants_are_not_affine() -> None:
    b = GraphBuilder()
    y = b.conv(image(b), 4, (1, 1))
    b.add(ops.Mul(), y, b.constant("c", np.arange(64, dtype=np.float32).reshape(1, 8, 8, 1)))
    assert_equal_after(fold_affine, b.build(), None)
    assert_equal_after(merge_affine, b.build(), None)


@pytest.mark.parametrize(
    ("chain", "left"),
    [
        ([ops.Relu()], Activation.RELU),
        ([ops.Relu6()], Activation.RELU6),
        ([ops.Relu(), ops.Relu6()], Activation.RELU6),
        ([ops.Relu6(), ops.Relu()], Activation.RELU6),
    ],
)
def test_activations_fuse(chain: list[ops.Op], left: Activation) -> None:
    b = GraphBuilder()
    y = b.conv(image(b), 4, (3, 3))
    for op in chain:
        y = b.add(op, y)
    changed = assert_equal_after(fuse_activations, b.build(), ["CONV_2D"])
    assert changed.nodes[0].op.activation is left  # type: ignore[attr-defined]


def test_activations_do_not_fuse_into_concatenation_or_shared_results() -> None:
    b = GraphBuilder()
    x = image(b)
    b.add(ops.Relu(), b.add(ops.Concatenation(3), x, x))
    assert_equal_after(fuse_activations, b.build(), None)
    b = GraphBuilder()
    y = b.conv(image(b), 4, (3, 3))
    b.add(ops.Add(), y, b.add(ops.Relu(), y))
    assert_equal_after(fuse_activations, b.build(), None)


def padded_conv(before: int, after: int, stride: int, size: int, kernel: int = 3) -> Graph:
    b = GraphBuilder()
    y = b.add(
        ops.Pad(),
        image(b, size, size),
        b.ints("p", [ZEROS, [before, after], [before, after], ZEROS]),
    )
    b.conv(y, 4, (kernel, kernel), stride=(stride, stride), padding=Padding.VALID)
    return b.build()


@pytest.mark.parametrize(
    ("before", "after", "stride", "size", "folds"),
    [
        *((1, 1, 1, 8, True), (1, 1, 2, 8, False), (0, 1, 2, 8, True), (1, 1, 2, 9, True)),
        *((1, 0, 2, 9, False), (2, 0, 1, 8, False), (0, 2, 1, 8, False), (1, 2, 2, 9, True)),
    ],
)
def test_pads_fold_where_same_says_them(
    before: int, after: int, stride: int, size: int, folds: bool
) -> None:
    graph = padded_conv(before, after, stride, size)
    changed = assert_equal_after(fold_pads, graph, ["CONV_2D"] if folds else None)
    assert (changed.nodes[-1].op.padding is Padding.SAME) == folds  # type: ignore[attr-defined]


def test_pads_add_up() -> None:
    b = GraphBuilder()
    y = b.add(ops.Pad(), image(b), b.ints("p", [ZEROS, [1, 0], [0, 1], ZEROS]))
    y = b.add(ops.Pad(), y, b.ints("q", [ZEROS, [0, 1], [1, 0], ZEROS]))
    b.depthwise(y, (3, 3), padding=Padding.VALID)
    assert_equal_after(fold_pads, b.build(), ["DEPTHWISE_CONV_2D"])


def test_padded_channels_do_not_fold() -> None:
    b = GraphBuilder()
    y = b.add(ops.Pad(), image(b), b.ints("p", [ZEROS, [1, 1], [1, 1], [0, 4]]))
    b.conv(y, 4, (3, 3), padding=Padding.VALID)
    assert_equal_after(fold_pads, b.build(), None)


def pooled(source: ops.Op | None, pads: list[list[int]], lowest: bool, stride: int) -> Graph:
    b = GraphBuilder()
    y = image(b)
    if source is not None:
        y = b.add(source, y)
    inputs = [y, b.ints("p", pads)]
    if lowest:
        inputs.append(b.constant("low", np.array([np.finfo(np.float32).min])))
    y = b.add(ops.PadV2() if lowest else ops.Pad(), *inputs)
    b.add(ops.MaxPool2D((3, 3), (stride, stride)), y)
    return b.build()


BOTH = [ZEROS, [1, 1], [1, 1], ZEROS]


def test_max_pool_takes_zeros_only_from_what_is_not_negative() -> None:
    wanted = ["RELU", "PAD", "MAX_POOL_2D"]
    assert_equal_after(fold_pads, pooled(ops.Relu(), BOTH, True, 2), wanted)
    assert_equal_after(fold_pads, pooled(None, BOTH, True, 2), None)
    assert_equal_after(fold_pads, pooled(None, BOTH, True, 1), ["MAX_POOL_2D"])
    assert_equal_after(fold_pads, pooled(None, BOTH, False, 1), None)
    assert_equal_after(fold_pads, pooled(ops.Relu(), BOTH, False, 1), ["RELU", "MAX_POOL_2D"])


def test_same_padding_puts_the_odd_one_last() -> None:
    assert same_padding(8, 3, 2, 1) == (0, 1)
    assert same_padding(9, 3, 2, 1) == (1, 1)
    assert same_padding(8, 3, 1, 2) == (2, 2)
    assert same_padding(8, 1, 2, 1) == (0, 0)


def gate(b: GraphBuilder, x: str, fused: bool) -> str:
    y = b.add(ops.Add(Activation.RELU6 if fused else Activation.NONE), x, b.constant("3", three()))
    return y if fused else b.add(ops.Relu6(), y)


def three() -> Values:
    return np.array([3], np.float32)


def sixth() -> Values:
    return np.array([1 / 6], np.float32)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("inside", [False, True])
def test_hard_swish_is_recognized_in_both_forms(fused: bool, inside: bool) -> None:
    b = GraphBuilder()
    x = image(b)
    y = gate(b, x, fused)
    if inside:
        y = b.add(ops.Mul(), y, b.constant("sixth", sixth()))
        b.add(ops.Mul(), x, y)
    else:
        y = b.add(ops.Mul(), y, x)
        b.add(ops.Mul(), b.constant("sixth", sixth()), y, shape=(1, 8, 8, 4))
    assert_equal_after(fuse_hard_swish, b.build(), ["HARD_SWISH"])


def test_gate_of_something_else_is_not_hard_swish() -> None:
    b = GraphBuilder()
    x = image(b)
    other = b.add(ops.Relu(), x)
    y = b.add(ops.Mul(), gate(b, x, True), b.constant("sixth", sixth()))
    b.add(ops.Mul(), other, y)
    assert_equal_after(fuse_hard_swish, b.build(), None)


def test_hard_swish_written_out_loses_its_division_in_the_next_layer() -> None:
    b = GraphBuilder()
    b.conv(b.add(ops.HardSwish(), image(b)), 5, (3, 3))
    graph = b.build()
    expanded = assert_equal_after(expand_hard_swish, graph, ["ADD", "MUL", "MUL", "CONV_2D"])
    assert assert_equal_after(fuse_hard_swish, expanded, ["HARD_SWISH", "CONV_2D"])
    assert_equal_after(without_hard_swish, graph, ["ADD", "MUL", "CONV_2D"])


def test_a_graph_without_hard_swish_stays_itself() -> None:
    b = GraphBuilder()
    b.conv(image(b), 5, (3, 3))
    graph = b.build()
    assert without_hard_swish(graph) is graph


def test_pools_over_everything_are_means() -> None:
    b = GraphBuilder()
    b.flatten(b.add(ops.AveragePool2D((8, 8)), image(b)))
    changed = assert_equal_after(use_means, b.build(), ["MEAN"])
    assert changed.nodes[0].op == ops.Mean(keep_dims=False)
    b = GraphBuilder()
    b.add(ops.AveragePool2D((4, 8)), image(b))
    assert_equal_after(use_means, b.build(), None)


def test_identities_go() -> None:
    b = GraphBuilder()
    y = b.add(ops.Reshape(), image(b), b.ints("s", [1, 64, 4]))
    y = b.add(ops.Reshape(), y, b.ints("t", [1, 8, 8, 4]))
    y = b.add(ops.Relu(), b.add(ops.Mul(), y, b.constant("one", np.ones(4, np.float32))))
    b.add(ops.Add(), y, b.constant("zero", np.zeros(1, np.float32)))
    changed = assert_equal_after(drop_identities, b.build(), ["RELU"])
    assert changed.outputs == ("add_4",)


def test_an_identity_between_input_and_output_stays() -> None:
    b = GraphBuilder()
    b.add(ops.Mul(), image(b), b.constant("one", np.ones(1, np.float32)))
    assert_equal_after(drop_identities, b.build(), None)


def test_twin_splits_become_one() -> None:
    b = GraphBuilder()
    x = image(b)
    first = b.add(ops.Split(2), b.ints("a", [3]), x)
    second = b.add(ops.Split(2), b.ints("b", [3]), x)
    graph = b.build(b.add(ops.Sub(), first, f"{second}:1"))
    assert_equal_after(drop_identities, graph, ["SPLIT", "SUB"])


def test_twins_of_twins_become_one_and_strangers_stay() -> None:
    b = GraphBuilder()
    x = image(b)
    columns = [b.add(ops.Transpose(), x, b.ints(name, [0, 2, 1, 3])) for name in ("a", "b")]
    rows = [b.add(ops.Mean(True), y, b.ints(f"{y}/axes", [1])) for y in columns]
    other = b.add(ops.Mean(True), columns[1], b.ints("other", [2]))
    doubled = [b.add(ops.Mul(), y, vector(b, f"{y}/c", 1)) for y in rows]
    graph = b.build(b.add(ops.Add(), b.add(ops.Sub(), *doubled), other))
    kept = ["TRANSPOSE", "MEAN", "MEAN", "MUL", "MUL", "SUB", "ADD"]
    assert_equal_after(drop_identities, graph, kept)


def test_twins_that_leave_the_graph_both_stay() -> None:
    b = GraphBuilder()
    x = image(b)
    first, second = b.add(ops.Relu(), x), b.add(ops.Relu(), x)
    assert_equal_after(drop_identities, b.build(first, second), None)


def test_simplify_leaves_simple_graphs_alone_and_checks_them() -> None:
    graph = convnet(quantized=False)
    simple = simplify(graph)
    assert len(simple.nodes) < len(graph.nodes)  # its Pad is SAME, its pool is a mean
    assert simplify(simple) is simple
    with pytest.raises(InputError):
        simplify(Graph("empty", {}, (), (), ()))


def test_simplify_does_it_all_at_once() -> None:
    b = GraphBuilder()
    y = b.add(ops.Pad(), image(b), b.ints("p", BOTH))
    y = b.conv(y, 6, (3, 3), padding=Padding.VALID)
    y = b.add(ops.Mul(), y, vector(b, "c", 6))
    y = b.add(ops.Relu6(), b.add(ops.Add(), y, vector(b, "d", 6)))
    y = b.add(ops.Mean(keep_dims=True), y, b.ints("axes", [1, 2]))
    b.fully_connected(b.flatten(y), 3)
    assert_equal_after(simplify, b.build(), ["CONV_2D", "MEAN", "FULLY_CONNECTED"])
