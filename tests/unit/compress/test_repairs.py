"""Each rung on a small graph that has just what it repairs; the ladder on rungs made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from support.graphs import GraphBuilder, convnet

from edgekit.compress.calibrate import calibrate
from edgekit.compress.choose_ranges import choose_ranges
from edgekit.compress.ladder import Goal, Rung, Score, chosen, climb, helps
from edgekit.compress.quantize import quantize
from edgekit.compress.quantized import Bench, Quantized, to_input, to_reals
from edgekit.compress.repairs import LADDER
from edgekit.compress.repairs.better_ranges import better_ranges
from edgekit.compress.repairs.bias_correction import correct_biases
from edgekit.compress.repairs.equalization import equalize
from edgekit.errors import InputError, UsageError
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph, Tensor
from edgekit.graph.ops import Activation
from edgekit.graph.scores import before_softmax

RANDOM = np.random.default_rng(1)
SEEN = RANDOM.normal(0, 1, (48, 8, 8, 4)).astype(np.float32)
UNSEEN = RANDOM.normal(0, 1, (48, 8, 8, 4)).astype(np.float32)


def quantized(graph: Graph, seen: np.ndarray = SEEN) -> tuple[Quantized, Bench]:
    bench = Bench(lambda: iter([seen[:20], seen[20:]]), quantize)
    ranges = calibrate(graph, bench.batches())
    return Quantized(graph, ranges, quantize(graph, ranges)), bench


def noise_db(float_graph: Graph, integer: Graph, samples: np.ndarray = UNSEEN) -> float:
    """SQNR of the logits."""
    (expected,) = run(before_softmax(float_graph), [samples])
    shorter = before_softmax(integer)
    (found,) = run(shorter, [to_input(shorter, samples)])
    error = expected - to_reals(shorter, shorter.outputs[0], found)
    return 10 * math.log10(float(np.square(expected).sum() / np.square(error).sum()))


def with_constant(graph: Graph, name: str, change: Callable[[np.ndarray], np.ndarray]) -> Graph:
    tensor = graph.tensors[name]
    data = change(np.array(tensor.data)).astype(np.float32)
    return replace(graph, tensors={**graph.tensors, name: Tensor.constant(name, data)})


def coarse() -> Graph:
    """Most weights are a small fraction of the largest: they round to few integers, all one way."""
    b = GraphBuilder("coarse", seed=3)
    x = b.input("image", (1, 8, 8, 4))
    x = b.conv(x, 8, (3, 3), activation=Activation.RELU, name="first")
    x = b.conv(x, 8, (3, 3), activation=Activation.RELU, name="second")
    x = b.add(ops.AveragePool2D((8, 8), (8, 8)), x, name="pool")
    graph = b.build(b.fully_connected(b.flatten(x), 5, name="classifier"))

    def lopsided(weights: np.ndarray) -> np.ndarray:
        weights = np.full_like(weights, 1.45 / 127)
        weights[:, 0, 0, 0] = 1.0
        return weights

    return with_constant(graph, "second/weights", lopsided)


def uneven() -> Graph:
    """A ReLU whose channels differ by a factor of 200, in front of a depthwise layer."""
    b = GraphBuilder("uneven", seed=4)
    x = b.input("image", (1, 8, 8, 4))
    x = b.conv(x, 8, (1, 1), activation=Activation.RELU, name="first")
    x = b.depthwise(x, (3, 3), activation=Activation.RELU, name="second")
    x = b.add(ops.AveragePool2D((8, 8), (8, 8)), x, name="pool")
    graph = b.build(b.fully_connected(b.flatten(x), 5, name="classifier"))
    gains = np.geomspace(1, 200, 8)
    graph = with_constant(graph, "first/weights", lambda w: w / gains[:, None, None, None])
    graph = with_constant(graph, "first/bias", lambda b: b / gains)
    return with_constant(graph, "second/weights", lambda w: w * gains)


def outlier() -> tuple[Graph, np.ndarray]:
    """One calibration sample in 48 is a thousand times as bright as all others."""
    seen = SEEN.copy()
    seen[0, 0, 0] *= 1000
    return coarse(), seen


def test_bias_correction_takes_the_mean_error_back() -> None:
    network, bench = quantized(coarse())
    repaired = correct_biases(network, bench)
    assert repaired is not None
    before, after = (noise_db(network.graph, n.integer) for n in (network, repaired))
    assert after > before + 6


def test_bias_correction_leaves_everything_but_biases() -> None:
    network, bench = quantized(coarse())
    repaired = correct_biases(network, bench)
    assert repaired is not None
    biases = {node.inputs[2] for node in repaired.integer.nodes if len(node.inputs) == 3}
    for name, tensor in network.integer.tensors.items():
        if name not in biases:
            assert tensor is repaired.integer.tensors[name]


def test_bias_correction_without_layers_has_nothing_to_do() -> None:
    b = GraphBuilder()
    graph = b.build(b.add(ops.AveragePool2D((8, 8), (8, 8)), b.input("image", (1, 8, 8, 4))))
    network, bench = quantized(graph)
    assert correct_biases(network, bench) is None


def test_equalization_gives_small_channels_steps() -> None:
    network, bench = quantized(uneven())
    repaired = equalize(network, bench)
    assert repaired is not None
    (before,), (after,) = run(network.graph, [UNSEEN]), run(repaired.graph, [UNSEEN])
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
    assert noise_db(network.graph, repaired.integer) > noise_db(network.graph, network.integer) + 3


def test_equalization_keeps_away_from_the_six_of_relu6() -> None:
    graph = uneven()
    first = graph.nodes[0]
    clipped = replace(first, op=replace(first.op, activation=Activation.RELU6))
    graph = replace(graph, nodes=(clipped, *graph.nodes[1:]))
    network, bench = quantized(graph)
    repaired = equalize(network, bench)
    assert repaired is not None
    (before,), (after,) = run(graph, [SEEN]), run(repaired.graph, [SEEN])
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_dead_channels_are_left_alone() -> None:
    def dead(values: np.ndarray) -> np.ndarray:
        values[3] = 0
        return values

    graph = with_constant(with_constant(uneven(), "first/weights", dead), "first/bias", dead)
    network, bench = quantized(graph)
    for repair in (equalize, correct_biases, better_ranges):
        repaired = repair(network, bench)
        assert repaired is not None
        assert np.isfinite(noise_db(graph, repaired.integer))


def test_better_ranges_do_not_let_one_pixel_decide() -> None:
    graph, seen = outlier()
    network, bench = quantized(graph, seen)
    bench = replace(bench, batches=lambda: iter([seen[1:], seen[:1]]))
    repaired = better_ranges(network, bench)
    assert repaired is not None
    assert noise_db(graph, repaired.integer) > noise_db(graph, network.integer) + 3


def test_the_best_range_for_each_activation_is_no_worse_than_extremes_far_away() -> None:
    graph, seen = outlier()
    network, bench = quantized(graph, seen)
    bench = replace(bench, batches=lambda: iter([seen[1:], seen[:1]]))
    ranges = choose_ranges("auto", graph, network.ranges, bench)
    assert noise_db(graph, quantize(graph, ranges)) > noise_db(graph, network.integer) + 3


def test_minmax_is_left_as_it_is() -> None:
    network, bench = quantized(coarse())
    assert choose_ranges("minmax", network.graph, network.ranges, bench) is network.ranges


@pytest.mark.parametrize("repair", [rung.repair for rung in LADDER if not rung.on_request])
def test_samples_of_another_shape(repair: Callable[..., object]) -> None:
    network, bench = quantized(convnet(quantized=False), np.zeros((20, 16, 16, 3), np.float32))
    strange, classes = np.zeros((4, 5, 5, 3), np.float32), np.zeros(4, np.int64)
    bench = replace(
        bench,
        batches=lambda: iter([strange]),
        lessons=lambda epoch, size: iter([(strange, classes)]),
    )
    with pytest.raises(InputError, match="shape"):
        repair(network, bench)


def score(drop: float, sqnr: float, agreement: float = 98.0) -> Score:
    return Score(1000, sqnr, agreement, 90 - drop, drop)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (score(1, 25), score(1, 20), True),
        (score(1, 20.05), score(1, 20), False),
        (score(1, 19), score(1, 20), False),
        (score(5, 30), score(1, 20), False),  # answers worse by more than chance
        (score(1, 19.5), score(5, 20), True),  # and better
        (score(0.8, 20), score(1, 20), True),
        (score(0, 21), score(-0.4, 20), True),  # better than float was luck
        (Score(50, 21), Score(50, 20), True),
        (score(1, math.inf, 100), score(1, 30), True),
    ],
)
def test_what_helps(new: Score, old: Score, expected: bool) -> None:
    assert helps(new, old) is expected


def rung(name: str, integer: Graph | None, climbed: list[str]) -> Rung:
    def repair(network: Quantized, bench: Bench) -> Quantized | None:
        climbed.append(name)
        return None if integer is None else replace(network, integer=integer)

    return Rung(name, name, "", repair)


def test_the_climb_keeps_what_helps_and_ends_at_the_goal() -> None:
    network, bench = quantized(coarse())
    worse, better, best = convnet(seed=1), convnet(seed=2), convnet(seed=3)
    scores = {
        id(network.integer): score(3, 10),
        id(worse): score(9, 5),
        id(better): score(2, 15),
        id(best): score(0.1, 20),
    }
    climbed: list[str] = []
    graphs = {"nothing": None, "worse": worse, "better": better, "best": best, "never": best}
    rungs = [rung(name, graph, climbed) for name, graph in graphs.items()]
    found, steps = climb(network, rungs, bench, lambda graph: scores[id(graph)], Goal(0.2))
    assert found.integer is best
    assert climbed == ["nothing", "worse", "better", "best"]
    assert [(step.rung, step.kept) for step in steps] == [
        ("ptq", True),
        ("nothing", False),
        ("worse", False),
        ("better", True),
        ("best", True),
    ]
    assert steps[1].to_json()["sqnr_db"] is None


def test_a_network_within_its_budget_is_left_alone() -> None:
    network, bench = quantized(coarse())
    climbed: list[str] = []
    rungs = [rung("never", None, climbed)]
    found, steps = climb(network, rungs, bench, lambda _: score(0.1, 20), Goal(0.2))
    assert found is network
    assert len(steps) == 1
    assert not climbed


def test_rungs_by_name_keep_the_order_of_the_ladder() -> None:
    names = [r.name for r in chosen(LADDER, ["bias-correction", "better-ranges"])]
    assert names == ["better-ranges", "bias-correction"]


def test_a_rung_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="bias-corection") as caught:
        chosen(LADDER, ["bias-corection"])
    assert "bias-correction" in (caught.value.hint or "")


def test_every_rung_cites_its_paper() -> None:
    assert all("arXiv:" in rung.source for rung in LADDER)
