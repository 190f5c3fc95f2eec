"""Block reconstruction and quantization-aware training, on small networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit import extras
from edgekit.compress.calibrate import calibrate
from edgekit.compress.ladder import chosen
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Bench, Quantized, to_input, to_reals
from edgekit.compress.repairs import LADDER, block_reconstruction, qat
from edgekit.compress.repairs.block_reconstruction import reconstruct_blocks
from edgekit.compress.repairs.qat import train_integers
from edgekit.compress.simulation.network import Simulation
from edgekit.errors import MissingToolError
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.graph.scores import before_softmax

RANDOM = np.random.default_rng(2)
PICTURES = RANDOM.normal(0, 1, (64, 16, 16, 3)).astype(np.float32)
REPAIRS = (reconstruct_blocks, train_integers)
Repair = Callable[[Quantized, Bench], Quantized | None]


def lessons(epoch: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    order = np.random.default_rng(epoch).permutation(len(PICTURES))
    for start in range(0, len(order), size):
        chunk = order[start : start + size]
        yield PICTURES[chunk], chunk % 5


def quantized() -> tuple[Quantized, Bench]:
    """Coarse on purpose: integers that are rounded badly leave something to repair."""
    graph = convnet(quantized=False)
    bench = Bench(lambda: iter([PICTURES[:40], PICTURES[40:]]), quantize, lessons)
    ranges = calibrate(graph, bench.batches())
    integer = quantize(graph, ranges)
    tensors = dict(integer.tensors)
    for node in integer.nodes:
        if isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D):
            weights = tensors[node.inputs[1]]
            assert weights.data is not None
            data = np.clip(weights.data.astype(int) + 2, -127, 127).astype(np.int8)
            tensors[weights.name] = replace(weights, data=data)
    return Quantized(graph, ranges, replace(integer, tensors=tensors)), bench


@pytest.fixture(autouse=True)
def _few_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_reconstruction, "_MOST_UPDATES", 30)
    monkeypatch.setattr(block_reconstruction, "_FEWEST_UPDATES", 1)
    monkeypatch.setattr(qat, "_MOST_UPDATES", 10)


def repaired(repair: Repair) -> tuple[Quantized, Quantized]:
    network, bench = quantized()
    found = repair(network, bench)
    assert found is not None
    return network, found


def error(graph: Graph, integer: Graph) -> float:
    graph, integer = before_softmax(graph), before_softmax(integer)
    (expected,), (found,) = run(graph, [PICTURES]), run(integer, [to_input(integer, PICTURES)])
    reals = to_reals(integer, integer.outputs[0], found)
    return float(np.square(expected - reals, dtype=np.float64).sum())


def test_reconstruction_brings_the_output_nearer_to_the_float_network() -> None:
    network, found = repaired(reconstruct_blocks)
    assert error(network.graph, found.integer) < error(network.graph, network.integer) / 2


@pytest.mark.parametrize("repair", REPAIRS)
def test_only_weights_and_biases_change(repair: Repair) -> None:
    network, found = repaired(repair)
    assert found.graph is network.graph
    assert found.integer.nodes == network.integer.nodes
    constants = {n for x in network.integer.nodes if len(x.inputs) == 3 for n in x.inputs[1:]}
    for name, tensor in network.integer.tensors.items():
        after = found.integer.tensors[name]
        assert (after.shape, after.dtype) == (tensor.shape, tensor.dtype)
        assert after.quantization is tensor.quantization
        assert name in constants or after is tensor


@pytest.mark.parametrize("repair", REPAIRS)
def test_the_same_seed_gives_the_same_integers(repair: Repair) -> None:
    _, first = repaired(repair)
    _, second = repaired(repair)
    for name, tensor in first.integer.tensors.items():
        np.testing.assert_array_equal(tensor.data, second.integer.tensors[name].data)


def test_weights_go_one_step_at_most() -> None:
    network, found = repaired(reconstruct_blocks)
    for node in network.integer.nodes:
        if isinstance(node.op, ops.Conv2D | ops.DepthwiseConv2D | ops.FullyConnected):
            before, after = (x.integer.tensors[node.inputs[1]].data for x in (network, found))
            assert before is not None and after is not None
            # From a real weight up to half a step away.
            assert np.abs(before.astype(int) - after.astype(int)).max() <= 2


def test_trained_logits_are_those_of_the_exported_network() -> None:
    """What the last update's forward pass computes is what the exported graph does."""
    network, found = repaired(train_integers)
    shorter = before_softmax(found.integer)
    simulation = Simulation(shorter, shorter.nodes, network.graph)
    import torch

    steps = to_input(shorter, PICTURES)
    known = simulation({shorter.inputs[0]: torch.from_numpy(steps).float()})
    (expected,) = run(shorter, [steps])
    np.testing.assert_array_equal(known[shorter.outputs[0]].detach().numpy(), expected)


def test_training_needs_lessons() -> None:
    network, bench = quantized()
    assert train_integers(network, replace(bench, lessons=None)) is None


@pytest.mark.parametrize("repair", REPAIRS)
def test_nothing_to_train(repair: Repair) -> None:
    b = GraphBuilder()
    graph = b.build(b.add(ops.MaxPool2D((2, 2)), b.input("image", (1, 16, 16, 3))))
    bench = Bench(lambda: iter([PICTURES]), quantize, lessons)
    ranges = calibrate(graph, bench.batches())
    assert repair(Quantized(graph, ranges, quantize(graph, ranges)), bench) is None


def test_without_torch_the_ladder_is_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(extras.MODULES, "train", ("not_installed",))
    names = [rung.name for rung in chosen(LADDER, None)]
    assert names == ["better-ranges", "equalization", "bias-correction"]
    with pytest.raises(MissingToolError, match="not_installed"):
        chosen(LADDER, ["qat"])
