"""Valid graphs pass; every broken rule is refused with the node's and the tensor's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet, single_op_graphs

from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Quantization, Tensor
from edgekit.graph.ops import Activation
from edgekit.graph.verify import verify

Build = Callable[[GraphBuilder], str]


def int8(b: GraphBuilder, *shape: int, name: str = "x") -> str:
    return b.input(name, shape or (1, 6, 6, 4), b.int8(0.03, 5))


def changed(graph: Graph, name: str, **values: object) -> Graph:
    tensor = replace(graph.tensors[name], **values)  # type: ignore[arg-type]
    return replace(graph, tensors={**graph.tensors, name: tensor})


def refused(graph: Graph, kind: type[EdgekitError], message: str) -> None:
    with pytest.raises(kind, match=message):
        verify(graph)


@pytest.mark.parametrize("quantized", [True, False])
def test_valid_graphs(quantized: bool) -> None:
    for graph in (*single_op_graphs(quantized).values(), convnet(quantized)):
        verify(graph)


def test_integer_border_of_a_float_graph() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4))
    q = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.1))
    again = b.add(ops.Quantize(), q, dtype=DType.UINT8, quantization=b.int8(0.2, 128))
    b.add(ops.Dequantize(), again, dtype=DType.FLOAT32)
    verify(b.build())


def test_legacy_uint8() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4), b.int8(0.5, 128), DType.UINT8)
    w = b.constant("w", np.full((3, 4), 200, np.uint8), b.int8(0.25, 120))
    bias = b.constant("b", np.zeros(3, np.int32), b.int8(0.125))
    y = b.add(ops.FullyConnected(), x, w, bias, quantization=b.int8(0.7, 3))
    b.add(ops.Softmax(), y, quantization=b.int8(1 / 256))
    verify(b.build())
    b = GraphBuilder()
    b.add(ops.Softmax(), b.input("x", (1, 4), b.int8(0.5, 128), DType.UINT8))
    refused(b.build(), InputError, "scale 1/256 and zero point 0, not 0.5 and 128")


def test_opaque_nodes_are_checked_for_order_only() -> None:
    b = GraphBuilder()
    x = b.add(ops.Opaque("TILE", 69), int8(b), shape=(1, 9, 9, 4))
    b.add(ops.Opaque("ARG_MAX", 56), x, shape=(1, 9, 9), dtype=DType.INT64)
    graph = changed(b.build(), "arg_max_1", quantization=None)
    verify(graph)
    swapped = replace(graph, nodes=graph.nodes[::-1])
    refused(swapped, InputError, r"'arg_max_1' \(ARG_MAX\) reads 'tile_0' before it is written")


def test_names_and_order() -> None:
    graph = convnet()
    nodes = graph.nodes
    without = {name: t for name, t in graph.tensors.items() if name != "stem"}
    cases = {
        "Tensor 'stem' is filed under the name 'other'": replace(
            graph, tensors={**graph.tensors, "other": graph.tensors["stem"]}
        ),
        r"'stem' \(CONV_2D\) writes 'stem', which does not exist": replace(graph, tensors=without),
        "'block/depthwise' .* reads 'stem' before it is written": replace(graph, nodes=nodes[1:]),
        "reads 'nowhere' that does not exist": replace(
            graph, nodes=(replace(nodes[0], inputs=("nowhere",)), *nodes[1:])
        ),
        r"'stem' \(CONV_2D\) writes 'stem', which has a value": replace(
            graph, nodes=(nodes[0], *nodes)
        ),
        "'stem' .* writes 'image', which has a value": replace(
            graph, nodes=(replace(nodes[0], outputs=("image",)), *nodes[1:])
        ),
        "No node writes the graph output 'image'": replace(graph, outputs=("image",)),
        "border names 'nowhere'": replace(graph, outputs=("nowhere",)),
        "names an input twice": replace(graph, inputs=("image", "image")),
        "a constant among its inputs": replace(graph, inputs=("image", "stem/weights")),
        "at least one input and one output": replace(graph, outputs=()),
        "'stem' .* it writes 2 tensors instead of 1": replace(
            graph, nodes=(replace(nodes[0], outputs=("stem", "pad")), *nodes[1:4], *nodes[5:])
        ),
    }
    for message, broken in cases.items():
        refused(broken, InputError, message)


def test_tensors() -> None:
    graph = convnet()
    weights = graph.tensors["stem/weights"]
    assert weights.data is not None and weights.quantization is not None
    nan = np.full(8, np.nan, np.float32)
    per_channel = Quantization.per_channel
    cases = {
        r"'stem/weights' is declared int8 \[8, 3, 3, 3\] but holds int32": changed(
            graph, "stem/weights", data=weights.data.astype(np.int32)
        ),
        r"but holds int8 \[8, 27\]": changed(
            graph, "stem/weights", data=weights.data.reshape(8, 27)
        ),
        "'pad' has the impossible shape": changed(graph, "pad", shape=(1, -9, 9, 8)),
        "'down' has the impossible shape": changed(graph, "down", shape=(1, 0, 4, 12)),
        "'pad' .* larger than 2 GiB": changed(graph, "pad", shape=(1, 1 << 20, 1 << 20, 8)),
        "'paddings' has a zero point outside": changed(
            graph, "paddings", quantization=Quantization.per_tensor(1.0, 1)
        ),
        "'stem/weights' has a scale that is not a positive number": changed(
            graph, "stem/weights", quantization=per_channel(nan, 0)
        ),
        "'image' has a scale that is not a positive number": changed(
            graph, "image", quantization=Quantization.per_tensor(-0.5, 0)
        ),
        r"'image' has a zero point outside \[-128, 127\]": changed(
            graph, "image", quantization=Quantization.per_tensor(0.5, 128)
        ),
        "has 7 scales along dimension 0": changed(
            graph, "stem/weights", quantization=per_channel(np.ones(7, np.float32), 0)
        ),
        "has 8 scales along dimension 4": changed(
            graph, "stem/weights", quantization=per_channel(np.ones(8, np.float32), 4)
        ),
        "has 8 scales and 1 zero points": changed(
            graph,
            "stem/weights",
            quantization=replace(weights.quantization, zero_points=np.zeros(1, np.int64)),
        ),
    }
    for message, broken in cases.items():
        refused(broken, InputError, message)
    plain = convnet(quantized=False)
    refused(
        changed(plain, "stem/bias", data=nan), InputError, "Constant 'stem/bias' holds NaN or inf"
    )
    scaled = changed(plain, "stem", quantization=Quantization.per_tensor(1.0, 0))
    refused(scaled, InputError, "Tensor 'stem' is float32 but has a scale")


def test_shapes_follow_from_the_inputs() -> None:
    graph = convnet()
    refused(
        changed(graph, "down", shape=(1, 4, 4, 11)),
        InputError,
        r"'down' \(CONV_2D\): its output 'down' is declared \[1, 4, 4, 11\], but the inputs give "
        r"\[1, 4, 4, 12\]",
    )
    b = GraphBuilder()
    b.add(ops.Reshape(), int8(b), shape=(1, 144))
    verify(b.build())
    refused(
        changed(b.build(), "reshape_0", shape=(1, 143)),
        InputError,
        r"'reshape_0' \(RESHAPE\): \[1, 6, 6, 4\] does not reshape to \[1, 143\]",
    )


SOFTMAX = r"\(SOFTMAX\): its output 'softmax_0' must have scale 1/256 and zero point -128"
SAME = "must have the same quantization"
BROKEN: dict[str, tuple[Build, type[EdgekitError], str]] = {
    "softmax scale": (
        lambda b: b.add(ops.Softmax(), int8(b, 1, 4), quantization=b.int8(0.1, -128)),
        InputError,
        SOFTMAX,
    ),
    "softmax zero point": (
        lambda b: b.add(ops.Softmax(), int8(b, 1, 4), quantization=b.int8(1 / 256, 0)),
        InputError,
        SOFTMAX,
    ),
    "softmax beta": (
        lambda b: b.add(ops.Softmax(-1.0), b.input("x", (1, 4))),
        InputError,
        "beta is -1.0",
    ),
    "logistic": (
        lambda b: b.add(ops.Logistic(), int8(b), quantization=b.int8(0.01, -128)),
        InputError,
        "'logistic_0' must have scale 1/256",
    ),
    "max pool": (
        lambda b: b.add(ops.MaxPool2D((2, 2)), int8(b), quantization=b.int8(0.04, 5)),
        InputError,
        r"'max_pool_2d_0' \(MAX_POOL_2D\): 'x' .* and 'max_pool_2d_0' .* " + SAME,
    ),
    "average pool": (
        lambda b: b.add(ops.AveragePool2D((2, 2)), int8(b), quantization=b.int8(0.03, 4)),
        InputError,
        SAME,
    ),
    "reshape": (
        lambda b: b.add(ops.Reshape(), int8(b), shape=(144,), quantization=b.int8(0.3)),
        InputError,
        SAME,
    ),
    "concatenation": (
        lambda b: b.add(ops.Concatenation(), int8(b), b.input("y", (1, 6, 6, 1), b.int8(0.031, 5))),
        InputError,
        SAME,
    ),
    "concatenation activation": (
        lambda b: b.add(ops.Concatenation(activation=Activation.RELU), int8(b)),
        UnsupportedError,
        "fused RELU",
    ),
    "pad": (
        lambda b: b.add(ops.Pad(), int8(b, 4), b.ints("p", [[1, 1]]), quantization=b.int8(0.03, 6)),
        InputError,
        SAME,
    ),
    "pad value": (
        lambda b: b.add(
            ops.PadV2(),
            int8(b, 4),
            b.ints("p", [[1, 1]]),
            b.constant("v", np.zeros(1, np.int8), b.int8(0.9)),
        ),
        InputError,
        SAME,
    ),
    "pad value computed": (
        lambda b: b.add(ops.PadV2(), int8(b, 4), b.ints("p", [[1, 1]]), int8(b, 1, name="v")),
        UnsupportedError,
        "padding value 'v' must be a constant",
    ),
    "relu6": (
        lambda b: b.add(ops.Relu6(), int8(b), quantization=b.int8(0.02, 5)),
        InputError,
        SAME,
    ),
    "weights computed": (
        lambda b: b.add(ops.Conv2D(), int8(b), int8(b, 2, 3, 3, 4, name="w")),
        UnsupportedError,
        r"\(CONV_2D\): its weights 'w' must be a constant",
    ),
    "hybrid": (
        lambda b: b.add(
            ops.FullyConnected(),
            b.input("x", (1, 4)),
            b.constant("w", np.ones((2, 4), np.int8), b.int8(0.1)),
        ),
        UnsupportedError,
        "element types: 'x' float32, 'fully_connected_0' float32, 'w' int8",
    ),
    "mixed": (
        lambda b: b.add(ops.Add(), int8(b, 1, 4), b.input("y", (1, 4))),
        UnsupportedError,
        "'x' int8, 'y' float32",
    ),
    "int16": (
        lambda b: b.add(ops.HardSwish(), b.input("x", (4,), b.int8(0.1), DType.INT16)),
        UnsupportedError,
        "'x' int16",
    ),
    "no scale": (
        lambda b: b.add(ops.HardSwish(), b.input("x", (4,), dtype=DType.INT8)),
        InputError,
        "'x' is int8 but has no scale",
    ),
    "dequantize float": (
        lambda b: b.add(ops.Dequantize(), b.input("x", (4,))),
        UnsupportedError,
        "'x' float32",
    ),
    "quantize to int32": (
        lambda b: b.add(ops.Quantize(), b.input("x", (4,)), dtype=DType.INT32),
        UnsupportedError,
        "'quantize_0' int32",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_types_and_scales(what: str) -> None:
    build, kind, message = BROKEN[what]
    b = GraphBuilder()
    build(b)
    refused(b.build(), kind, message)


def dense() -> Graph:
    """int8 convolution with 3 output channels: tensors x, c, c/weights, c/bias."""
    b = GraphBuilder()
    b.conv(int8(b), 3, (1, 1), name="c")
    return b.build()


def requantized(graph: Graph, name: str, **values: object) -> Graph:
    quantization = graph.tensors[name].quantization
    assert quantization is not None
    return changed(graph, name, quantization=replace(quantization, **values))  # type: ignore[arg-type]


def test_weights() -> None:
    graph = dense()
    three = np.array([0, 1, 0], np.int64)
    refused(
        requantized(graph, "c/weights", zero_points=three),
        UnsupportedError,
        "int8 weights 'c/weights' have a zero point other than 0",
    )
    refused(
        changed(graph, "c/weights", quantization=None),
        InputError,
        "weights 'c/weights' have no scale",
    )
    b = GraphBuilder()
    b.conv(int8(b), 4, (1, 1), name="c")
    refused(
        requantized(b.build(), "c/weights", axis=3),
        InputError,
        "'c/weights' have scales along dimension 3, not 0",
    )


def test_bias() -> None:
    graph = dense()
    bias = graph.tensors["c/bias"]
    assert bias.data is not None and bias.quantization is not None
    scales = bias.quantization.scales
    verify(requantized(graph, "c/bias", scales=scales * np.float32(1.0005)))
    verify(changed(graph, "c/bias", quantization=None))
    one_off = scales * np.array([1, 1, 1.01], np.float32)
    refused(
        requantized(graph, "c/bias", scales=one_off),
        InputError,
        r"'c' \(CONV_2D\): its bias 'c/bias' has scale .* in channel 2; input scale \* weight",
    )
    single = Quantization.per_tensor(float(scales[0]), 0)
    zeros = Tensor.constant("c/bias", np.zeros(3, np.int32), bias.quantization)
    silent = replace(graph, tensors={**graph.tensors, "c/bias": zeros})
    verify(requantized(silent, "c/bias", scales=one_off))
    refused(changed(graph, "c/bias", quantization=single), InputError, "1 scales, its weights 3")
    wide = Tensor.constant("c/bias", bias.data.astype(np.int64))
    refused(
        replace(graph, tensors={**graph.tensors, "c/bias": wide}),
        UnsupportedError,
        "its bias 'c/bias' is int64, not int32",
    )


def test_messages_keep_the_hint() -> None:
    b = GraphBuilder()
    b.add(ops.HardSwish(), b.input("x", (4,), b.int8(0.1), DType.INT16))
    with pytest.raises(UnsupportedError) as caught:
        verify(b.build())
    assert "int8" in caught.value.hint
