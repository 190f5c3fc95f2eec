import numpy as np
import pytest
from support.graphs import GraphBuilder

from edgekit.compress.calibrate import calibrate
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Bench, Quantized
from edgekit.compress.repairs import qat
from edgekit.compress.repairs.simpler_activations import replace_activations
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.passes.simpler_activations import simplify_activations

PICTURES = np.random.default_rng(0).normal(0, 1, (64, 8, 8, 3)).astype(np.float32)


def network(swish: bool, hard_swish: bool = False, gate: bool = False) -> Graph:
    b = GraphBuilder("net", 0)
    y = b.conv(b.input("x", (1, 8, 8, 3)), 8, (3, 3), name="first")
    if swish:
        y = b.add(ops.Mul(), b.add(ops.Logistic(), y), y, name="swish")
    if hard_swish:
        y = b.add(ops.HardSwish(), b.conv(y, 8, (1, 1)), name="hard")
    if gate:
        y = b.add(ops.Mul(), y, b.add(ops.Logistic(), b.conv(y, 8, (1, 1))), name="gate")
    return b.build(b.fully_connected(b.flatten(y), 5))


def kinds(graph: Graph) -> list[type[ops.Op]]:
    return [type(node.op) for node in graph.nodes]


def test_swish_becomes_hard_and_gates_stay() -> None:
    simpler = simplify_activations(network(swish=True, gate=True))
    assert kinds(simpler).count(ops.HardSwish) == kinds(simpler).count(ops.Logistic) == 1
    assert next(node for node in simpler.nodes if node.name == "swish").inputs == ("first",)


def test_hard_swish_becomes_relu6_only_where_there_is_no_swish() -> None:
    both = simplify_activations(network(swish=True, hard_swish=True))
    assert kinds(both).count(ops.HardSwish) == 2 and ops.Relu6 not in kinds(both)
    hard = simplify_activations(network(swish=False, hard_swish=True))
    assert ops.HardSwish not in kinds(hard) and kinds(hard).count(ops.Relu6) == 1


def test_a_network_without_either_stays() -> None:
    graph = network(swish=False, gate=True)
    assert simplify_activations(graph) is graph


def test_the_rung_trains_after_the_given_network(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs edgekit[train]")
    monkeypatch.setattr(qat, "_MOST_UPDATES", 8)
    graph = network(swish=True)

    def lessons(epoch: int, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
        return [(PICTURES[i : i + 16], np.arange(16) % 5) for i in range(0, 64, 16)]

    bench = Bench(lambda: iter([PICTURES]), quantize, lessons)
    ranges = calibrate(graph, bench.batches())
    given = Quantized(graph, ranges, quantize(graph, ranges))
    found = replace_activations(given, bench)
    assert found is not None and found.graph is graph
    assert ops.HardSwish in kinds(found.integer) and ops.Logistic not in kinds(found.integer)
    assert replace_activations(found, Bench(bench.batches, quantize, None)) is None
