"""Costs counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.graph import ops
from edgekit.graph.cost import graph_cost, node_cost


def test_layers_by_hand() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 8, 8, 4), b.int8(0.1))
    x = b.conv(x, 6, (3, 3), stride=(2, 2), name="conv")
    x = b.conv(x, 6, (3, 3), groups=2, name="grouped")
    x = b.depthwise(x, (3, 3), multiplier=2, name="depthwise")
    b.fully_connected(b.flatten(x), 10, name="dense")
    costs = {node.name: node for node in graph_cost(b.build()).nodes}
    assert costs["conv"].macs == 4 * 4 * 6 * 3 * 3 * 4
    assert costs["grouped"].macs == 4 * 4 * 6 * 3 * 3 * 3
    assert costs["depthwise"].macs == 4 * 4 * 12 * 3 * 3
    assert costs["dense"].macs == 4 * 4 * 12 * 10
    assert costs["conv"].parameters == 6 * 3 * 3 * 4 + 6
    assert costs["conv"].parameter_bytes == 6 * 3 * 3 * 4 + 6 * 4
    assert (costs["conv"].input_bytes, costs["conv"].output_bytes) == (256, 96)


def test_totals() -> None:
    graph = convnet()
    cost = graph_cost(graph)
    assert cost.macs == sum(node.macs for node in cost.nodes) > 0
    assert cost.largest_activation_bytes == 3 * 8 * 8 * 8  # the sum reads two, writes one
    floats = graph_cost(convnet(quantized=False))
    assert (floats.macs, floats.parameters) == (cost.macs, cost.parameters)
    assert floats.parameter_bytes == 4 * floats.parameters
    assert floats.largest_activation_bytes == 4 * cost.largest_activation_bytes


def test_shared_weights_and_repeated_inputs_count_once() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2))
    a = b.conv(x, 2, (1, 1), name="a")
    c = b.add(ops.Conv2D(), a, "a/weights", "a/bias", name="c")
    b.add(ops.Add(), c, c, name="twice")
    graph = b.build()
    assert graph_cost(graph).parameters == 6
    assert node_cost(graph, graph.nodes[-1]).input_bytes == 4 * 4 * 2 * 4


@pytest.mark.parametrize("op", [ops.Add(), ops.Mul()])
def test_constants_of_sums_are_parameters_without_macs(op: ops.Op) -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2))
    b.add(op, x, b.constant("c", np.ones(2, np.float32)))
    (cost,) = graph_cost(b.build()).nodes
    assert (cost.macs, cost.parameters) == (0, 2)
