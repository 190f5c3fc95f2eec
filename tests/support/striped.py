"""Random networks that can be computed in stripes, and random ways to do so."""

from __future__ import annotations

import numpy as np
from support.graphs import GraphBuilder

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import Activation, Padding
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.program import Program
from edgekit.lower.stripes import Layer, Rows, are_closed, in_stripes, layer


def random_network(seed: int, layers: int = 9) -> Graph:
    """Convolutions, depthwise ones, pools, tables and sums, one after the other, with branches."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder(f"network_{seed}", seed)
    shape = (1, *map(int, rng.integers(7, 20, 2)), int(rng.integers(1, 6)))
    x = b.input("x", shape, b.int8(0.05, int(rng.integers(-9, 9))))
    for _ in range(layers):
        x = _more(b, rng, x)
    if rng.random() < 0.5:
        x = b.fully_connected(b.flatten(x, name="shape"), 7)
    return b.build(x)


def _more(b: GraphBuilder, rng: np.random.Generator, x: str) -> str:
    def one(*values: object) -> object:
        return values[int(rng.integers(len(values)))]

    _, height, width, channels = b.tensors[x].shape
    kind = one("conv", "conv", "depthwise", "depthwise", "pool", "table", "branch", "constant")
    window = {"padding": one(Padding.SAME, Padding.SAME, Padding.VALID)}
    if min(height, width) < 9:
        window["padding"] = Padding.SAME
    window |= one({}, {}, {"stride": (2, 2)}, {"stride": (3, 1)}, {"dilation": (2, 1)})
    if kind == "conv":
        taps = one((1, 1), (3, 3), (2, 3), (5, 1))
        outputs = int(one(3, 4, 8, 16))
        return b.conv(x, outputs, taps, activation=one(Activation.RELU, Activation.NONE), **window)
    if kind == "depthwise":
        multiplier = int(one(1, 1, 2))
        return b.depthwise(x, one((3, 3), (5, 3)), multiplier, **window)
    if kind == "pool":
        pool, side = one(ops.MaxPool2D, ops.AveragePool2D), int(one(2, 3))
        return b.add(pool((side, 2), (int(one(1, 2)), 1), Padding.SAME), x)
    if kind == "table":
        op = one(ops.Relu(), ops.HardSwish(), ops.Quantize())
        return b.add(op, x, dtype=DType.INT8, quantization=b.int8(0.04, 2))
    if kind == "constant":
        values = rng.integers(-128, 128, channels).astype(np.int8)
        constant = b.constant(f"constant_{x}", values, b.int8(0.04, -7))
        return b.add(ops.Mul(), x, constant, quantization=b.int8(0.06, 2))
    y = b.conv(x, 4 * channels, (1, 1), activation=Activation.RELU6)
    y = b.conv(b.depthwise(y, (3, 3)), channels, (1, 1))
    return b.add(ops.Add(), *(one((x, y), (y, x))), quantization=b.int8(0.07, -3))


def random_stripes(program: Program, seed: int) -> Program:
    """Steps in stripes of any height, as many together as it happens."""
    rng = np.random.default_rng(seed)
    layers = [layer(program, index) for index in range(len(program.steps))]
    parts, index = [], 0
    while index < len(layers):
        if rng.random() < 0.9 and (found := _stretches(program, layers, index)):
            chosen = found[int(rng.integers(len(found)))]
            height = chosen[-1].height
            parts.append(Rows(chosen, int(rng.integers(1, max(2, height // 2 + 1)))))
            index += len(chosen)
        else:
            index += 1
    return in_stripes(program, parts)


def _stretches(program: Program, layers: list[Layer | None], first: int) -> list[tuple[Layer, ...]]:
    found, run = [], []
    for one in layers[first:]:
        if one is None:
            break
        run.append(one)
        if are_closed(program.graph, run):
            found.append(tuple(run))
    return found


def striped(graph: Graph, isa: Isa = Isa.PORTABLE) -> Program:
    """A graph as a program in random stripes; the same for the same name."""
    return random_stripes(lower(graph, isa), sum(map(ord, graph.name)))
