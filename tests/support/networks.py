"""Small networks other than picture classifiers: the kinds of models that people bring."""

from __future__ import annotations

from dataclasses import replace

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation

from .graphs import GraphBuilder


def keyword_spotter() -> Graph:
    """Sound features (1, 49, 10, 1) -> probabilities (1, 4) of words."""
    b = GraphBuilder("keywords", 1)
    x = b.conv(b.input("mfcc", (1, 49, 10, 1), b.int8(0.58, 83)), 8, (10, 4), stride=(2, 2))
    x = b.depthwise(x, (3, 3), activation=Activation.RELU)
    x = b.add(ops.AveragePool2D((25, 5), (25, 5)), x)
    scores = b.fully_connected(b.flatten(x), 4)
    return b.build(
        b.add(ops.Softmax(1e-2), scores, quantization=b.int8(1 / 256, -128), name="words")
    )


def two_by_two() -> Graph:
    """Sound (1, 8, 6, 1) and motion (1, 10) -> direction (1, 4) and what stands before it."""
    b = GraphBuilder("two", 3)
    sound = b.input("sound", (1, 8, 6, 1), b.int8(0.05, 3))
    motion = b.input("motion", (1, 10), b.int8(0.1, -4))
    heard = b.fully_connected(b.flatten(sound), 10)
    both = b.add(ops.Add(), heard, motion, quantization=b.int8(0.4, 1), name="sum")
    return b.build(b.fully_connected(both, 4, name="direction"), both)


def float_ends() -> Graph:
    """A signal (1, 64) in float -> the same rebuilt in float; all between is int8."""
    b = GraphBuilder("anomaly", 4)
    x = b.input("signal", (1, 64))
    x = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.03, -2))
    x = b.fully_connected(b.fully_connected(x, 8, activation=Activation.RELU), 64)
    return b.build(b.add(ops.Dequantize(), x, dtype=DType.FLOAT32, name="rebuilt"))


def mixed_ends() -> Graph:
    """Float and int8 in (no batch on one), int8 and float out, the first of them class scores."""
    b = GraphBuilder("mixed", 5)
    real = b.input("real", (1, 12))
    integer = b.input("integer", (3, 4), b.int8(0.02, 0))
    first = b.add(ops.Quantize(), real, dtype=DType.INT8, quantization=b.int8(0.02, 0))
    second = b.add(ops.Reshape(), integer, b.ints("row", [1, 12]))
    both = b.add(ops.Add(), first, second, quantization=b.int8(0.03, 1))
    scores = b.fully_connected(both, 3)
    words = b.add(ops.Softmax(), scores, quantization=b.int8(1 / 256, -128), name="classes")
    return b.build(words, b.add(ops.Dequantize(), both, dtype=DType.FLOAT32, name="sum"))


def features() -> Graph:
    """Pictures (1, 16, 16, 3) -> features (1, 6): a classifier without its head."""
    b = GraphBuilder("features", 6)
    x = b.conv(b.input("image", (1, 16, 16, 3), b.int8(1 / 128, -1)), 6, (3, 3), stride=(2, 2))
    x = b.add(ops.Mean(), x, b.ints("axes", [1, 2]), quantization=b.int8(0.01, 3), name="features")
    return b.build(x)


def float_pictures() -> Graph:
    """Pictures (1, 12, 10, 3) in float -> probabilities (1, 5) in float."""
    b = GraphBuilder("float_pictures", 7)
    x = b.input("image", (1, 12, 10, 3))
    x = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(1 / 128, -1))
    x = b.fully_connected(b.flatten(b.conv(x, 4, (3, 3), stride=(2, 2))), 5)
    x = b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128))
    return b.build(b.add(ops.Dequantize(), x, dtype=DType.FLOAT32, name="probabilities"))


# What a name in somebody's file may hold to break out of comments, strings, tables and scripts;
# blanks part what must not be seen unquoted.
HOSTILE = "x \"\"\" */ ''' ??/ ??= ${HOME} `id` |x <b> %> {{7*7}} #{x} \u202e \n \r \0 \\x \\"


def with_hostile_names(graph: Graph) -> Graph:
    """The same graph; each name of a tensor or node begins with what could do harm."""
    names = {name: f"{HOSTILE}{name}" for name in graph.tensors}

    def renamed(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names[name] for name in old)

    return Graph(
        name=HOSTILE,
        tensors={names[k]: replace(t, name=names[k]) for k, t in graph.tensors.items()},
        nodes=tuple(
            replace(n, name=HOSTILE + n.name, inputs=renamed(n.inputs), outputs=renamed(n.outputs))
            for n in graph.nodes
        ),
        inputs=renamed(graph.inputs),
        outputs=renamed(graph.outputs),
    )
