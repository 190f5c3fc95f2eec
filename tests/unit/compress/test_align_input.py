"""A mean of 127.5: the network changes so that int8 inputs are plain shifted pixels."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import GraphBuilder

from edgekit.compress.align_input import align_input
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Padding
from edgekit.preprocessing import Preprocessing

HALVES = Preprocessing(8, 8, mean=(127.5,) * 3, std=(127.5,) * 3)


def net(kind: str = "conv", padding: Padding = Padding.VALID) -> Graph:
    b = GraphBuilder()
    x = b.input("x", (1, 8, 8, 3))
    if kind == "padded":
        x = b.add(ops.Pad(), x, b.ints("p", [[0, 0], [0, 1], [0, 1], [0, 0]]))
    if kind == "depthwise":
        b.depthwise(x, (3, 3), multiplier=2, padding=padding)
    elif kind == "dense":
        b.fully_connected(b.flatten(x), 4)
    elif kind == "two":
        b.add(
            ops.Add(), b.conv(x, 4, (3, 3), padding=padding), b.conv(x, 4, (3, 3), padding=padding)
        )
    elif kind == "direct":
        b.add(ops.Add(), b.conv(x, 3, (1, 1)), x)
    else:
        b.conv(x, 4, (3, 3), padding=padding)
    return b.build()


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["conv", "depthwise", "two"])
def test_same_network_on_the_same_pixels(kind: str) -> None:
    graph = net(kind)
    aligned, contract = align_input(graph, HALVES)
    assert contract.mean == (128.0,) * 3
    assert contract.std == HALVES.std
    (wanted,) = run(graph, [HALVES.normalize(pixels())])
    (found,) = run(aligned, [contract.normalize(pixels())])
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["conv", "padded"])
def test_padded_borders_are_off_by_half_a_pixel_step_at_most(kind: str) -> None:
    graph = net(kind, Padding.SAME)
    aligned, contract = align_input(graph, HALVES)
    difference = np.abs(
        run(graph, [HALVES.normalize(pixels())])[0]
        - run(aligned, [contract.normalize(pixels())])[0]
    )
    weights = graph.tensors[graph.nodes[-1].inputs[1]].data
    assert weights is not None
    assert difference[:, 2:-2, 2:-2].max() < 1e-5
    assert difference.max() <= np.abs(weights).sum(axis=(1, 2, 3)).max() * 0.5 / 127.5 + 1e-5


def test_pixels_become_integers_without_rounding() -> None:
    _, contract = align_input(net(), HALVES)
    table = contract.quantized(1 / 127.5, 0).table()
    np.testing.assert_array_equal(table, np.tile(np.arange(-128, 128), (3, 1)))


@pytest.mark.parametrize(
    ("kind", "contract"),
    [
        ("conv", Preprocessing(8, 8)),
        ("conv", Preprocessing(8, 8, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))),
        ("direct", HALVES),
        ("dense", HALVES),
    ],
)
def test_left_alone_otherwise(kind: str, contract: Preprocessing) -> None:
    graph = net(kind)
    assert align_input(graph, contract) == (graph, contract)
