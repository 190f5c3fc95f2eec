"""An int8 graph in torch equals the reference to the bit, before, while and after it is trained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.graphs import GraphBuilder, convnet, single_op_graphs

from edgekit.compress.simulation import reals
from edgekit.compress.simulation.layer import Layer
from edgekit.compress.simulation.network import Simulation, float_outputs, is_trainable
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph

RANDOM = np.random.default_rng(0)
# Graphs that `quantize` never makes: it adds biases, and keeps integers to the end.
NOT_QUANTIZED = ("dequantize", "fully_connected_no_bias")


def integers(graph: Graph, count: int = 1) -> list[np.ndarray]:
    shapes = [(count, *graph.tensors[name].shape[1:]) for name in graph.inputs]
    return [RANDOM.integers(-128, 128, shape).astype(np.int8) for shape in shapes]


def assert_equal(graph: Graph, simulation: Simulation, count: int = 1) -> None:
    inputs = integers(graph, count)
    values = {n: torch.from_numpy(x).float() for n, x in zip(graph.inputs, inputs, strict=True)}
    found = simulation(values)
    for name, expected in zip(graph.outputs, run(simulation.integer(), inputs), strict=True):
        np.testing.assert_array_equal(found[name].detach().numpy(), expected)


INTEGER = {n: g for n, g in single_op_graphs(True).items() if n not in NOT_QUANTIZED}


@pytest.mark.parametrize("graph", INTEGER.values(), ids=INTEGER.keys())
def test_every_op_to_the_bit(graph: Graph) -> None:
    assert_equal(graph, Simulation(graph, graph.nodes, graph))


FLOAT = {
    n: g for n, g in single_op_graphs(False).items() if n not in ("quantize", "dequantize", "split")
}


@pytest.mark.parametrize("graph", FLOAT.values(), ids=FLOAT.keys())
def test_every_op_in_reals(graph: Graph) -> None:
    shapes = [graph.tensors[name].shape for name in graph.inputs]
    inputs = [RANDOM.normal(0, 3, shape).astype(np.float32) for shape in shapes]
    values = {n: torch.from_numpy(x) for n, x in zip(graph.inputs, inputs, strict=True)}
    found = float_outputs(graph, graph.nodes, values)
    for name, expected in zip(graph.outputs, run(graph, inputs), strict=True):
        np.testing.assert_allclose(found[name].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_training_leaves_no_gap_between_what_is_trained_and_what_runs() -> None:
    graph = convnet()
    shorter = replace(graph, nodes=graph.nodes[:-1], outputs=graph.nodes[-1].inputs)
    simulation = Simulation(shorter, shorter.nodes, shorter)
    optimizer = torch.optim.Adam(simulation.parameters(), lr=0.3)
    before = simulation.integer()
    for _ in range(5):
        (x,) = integers(shorter, 4)
        known = simulation({"image": torch.from_numpy(x).float()})
        optimizer.zero_grad()
        (simulation.real("classifier", known["classifier"]) - 1).square().sum().backward()
        optimizer.step()
        assert_equal(shorter, simulation, 3)
    after = simulation.integer()
    changed = [
        n for n, t in before.tensors.items() if not np.array_equal(t.data, after.tensors[n].data)
    ]
    layers = [node for node in shorter.nodes if len(node.inputs) == 3]
    assert set(changed) == {name for node in layers for name in node.inputs[1:]}


def wide(bias: int) -> Graph:
    """A dense layer whose sums pass what float32 holds."""
    b = GraphBuilder("wide", seed=1)
    x = b.input("x", (1, 4000), b.int8(0.02, -128))
    graph = b.build(b.fully_connected(x, 3, name="dense"))
    constants = {
        "dense/weights": np.full((3, 4000), 127, np.int8),
        "dense/bias": np.full(3, bias, np.int32),
    }
    changed = {n: replace(graph.tensors[n], data=data) for n, data in constants.items()}
    return replace(graph, tensors={**graph.tensors, **changed})


def test_sums_beyond_float32_are_exact() -> None:
    assert_equal(wide(-60_000_001), Simulation(wide(-60_000_001), wide(0).nodes, wide(0)), 8)


@pytest.mark.parametrize("shift", [-1e9, 1e9])
def test_biases_leave_room_for_the_sums(shift: float) -> None:
    graph = wide(0)
    layer = Layer(graph, graph.nodes[0])
    with torch.no_grad():
        layer.shift.fill_(shift)
    bias = layer.constants()["dense/bias"].data
    assert bias is not None
    assert (np.abs(bias.astype(np.int64)) + 255 * 127 * 4000 <= DType.INT32.limits[1]).all()


def test_weights_stay_symmetric_int8() -> None:
    graph = wide(0)
    layer = Layer(graph, graph.nodes[0])
    with torch.no_grad():
        layer.weights.fill_(-900)
    data = layer.constants()["dense/weights"].data
    assert data is not None and (data == -127).all()


def test_float_weights_are_where_training_begins_unless_they_round_elsewhere() -> None:
    graph = wide(0)
    scale = graph.tensors["dense/weights"].quantization.scale  # type: ignore[union-attr]
    origin = np.full((3, 4000), 126.75 * scale, np.float32)
    origin[0, 0] = 0
    start = Layer(graph, graph.nodes[0], origin).weights.detach().numpy()
    np.testing.assert_allclose(start[1:], 126.75, rtol=1e-5)
    np.testing.assert_allclose(start[0, 0], 126.501, rtol=1e-6)


def test_gradients_pass_a_whole_network() -> None:
    graph = convnet()
    simulation = Simulation(graph, graph.nodes, graph)
    (x,) = integers(graph, 4)
    image = torch.from_numpy(x).float().requires_grad_()
    simulation({"image": image})["probabilities"][:, 0].sum().backward()
    assert image.grad is not None and bool(image.grad.abs().sum() > 0)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in simulation.parameters())


def test_the_gradient_is_that_of_the_reals() -> None:
    """Within the clamp, a step of the input moves the output by its real weight."""
    b = GraphBuilder("dense", seed=2)
    x = b.input("x", (1, 3), b.int8(0.02))
    graph = b.build(b.fully_connected(x, 2, name="dense", quantization=b.int8(0.5)))
    graph = replace(
        graph,
        tensors={
            **graph.tensors,
            "dense/bias": replace(graph.tensors["dense/bias"], data=np.zeros(2, np.int32)),
        },
    )
    values = torch.zeros(1, 3, requires_grad=True)
    Simulation(graph, graph.nodes, graph)({"x": values})["dense"][0, 1].backward()
    weights = graph.tensors["dense/weights"]
    assert weights.data is not None and weights.quantization is not None
    expected = weights.data[1] * (weights.quantization.scale * 0.02 / 0.5)
    np.testing.assert_allclose(values.grad, [expected], rtol=1e-5)


def test_what_cannot_be_trained() -> None:
    assert is_trainable(convnet(), convnet(quantized=False))
    bare = GraphBuilder("pool")
    graph = bare.build(bare.add(ops.MaxPool2D((2, 2)), bare.input("x", (1, 4, 4, 1), bare.int8(1))))
    assert not is_trainable(graph, graph)
    assert not is_trainable(single_op_graphs(True)["dequantize"], single_op_graphs(False)["relu"])


def test_every_op_but_dequantize_is_known() -> None:
    unknown = {
        type(node.op)
        for graph in single_op_graphs(True).values()
        for node in graph.nodes
        if not reals.is_known(node)
    }
    assert unknown == {ops.Dequantize}
