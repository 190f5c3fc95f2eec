"""A layer gets the cheapest kernel by the cost table, whose estimates are near what is counted."""

from dataclasses import replace

import baseline
import models
import pytest

from edgekit.graph.ir import Graph
from edgekit.lower import cost
from edgekit.lower.cost import KernelCost, cheapest, estimate, key
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import candidates, lower
from edgekit.lower.program import Step
from edgekit.lower.quantities import quantities
from edgekit.plan import boards

BOARDS = ("rpi_pico", "mps2_an386", "mps3_an547")
COMPILER = "arm-none-eabi-gcc 12.2.1"  # that the tables were measured with


def a_convolution() -> tuple[Graph, tuple[Step, ...]]:
    net = models.Network("net", (1, 12, 12, 16))
    net.conv("input", 32, (1, 1), activation=models.Activation.RELU)
    graph = net.graph()
    return graph, candidates(graph, graph.nodes[0], Isa.DSP)


def with_costs(monkeypatch: pytest.MonkeyPatch, table: dict[str, KernelCost]) -> None:
    monkeypatch.setattr(cost, "costs", lambda isa: table)


def test_the_cheapest_candidate_is_taken_wherever_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, steps = a_convolution()
    assert len(steps) > 1
    for wanted in steps:
        weights = {key(step): 1.0 if step is wanted else 2.0 for step in steps}
        with_costs(
            monkeypatch,
            {name: KernelCost({"macs": weight}, 0.1) for name, weight in weights.items()},
        )
        chosen = cheapest(graph, steps, Isa.DSP)
        assert key(chosen) == key(wanted)
        assert chosen.estimate is not None
        assert chosen.estimate.instructions == 12 * 12 * 16 * 32


def test_a_kernel_that_was_not_measured_leaves_the_order_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, steps = a_convolution()
    with_costs(monkeypatch, {key(steps[-1]): KernelCost({"macs": 0.001}, 0.1)})
    assert key(cheapest(graph, steps, Isa.DSP)) == key(steps[0])
    assert cheapest(graph, steps, Isa.DSP).estimate is None


def test_quantities_count_windows_on_the_border() -> None:
    net = models.Network("net", (1, 5, 4, 8))
    net.depthwise("input", 3)
    graph = net.graph()
    counted = quantities(graph, graph.nodes[0])
    assert counted["pixels"] == 20 and counted["border_windows"] == 20 - 3 * 2
    assert counted["macs"] == 20 * 9 * 8


def test_a_view_takes_nothing() -> None:
    graph, steps = a_convolution()
    taken = estimate(graph, replace(steps[0], kernels=()), Isa.DSP)
    assert taken is not None and taken.instructions == 0


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize(
    "model", ("resnet8", "ds_cnn", "dense_autoencoder", "mobilenet_v1_0.25_128")
)
def test_estimates_are_near_what_was_counted(board: str, model: str) -> None:
    """After a change of kernels: `make costs`, then `make bench BENCH=--update`."""
    graph = models.MODELS[model]()
    program = lower(graph, Isa.of(boards.load(board).core))
    unknown = {key(step) for step in program.steps if step.estimate is None}
    assert not unknown, "not measured yet; `make costs` does it"
    counted = baseline.read()[COMPILER].get(f"{model} on {board}")
    if counted is None:
        pytest.skip(f"{model} does not fit the {board}")
    assert program.estimate is not None
    assert program.estimate.instructions == pytest.approx(counted["instructions"], rel=0.08)
    assert 0 < program.estimate.error < 0.2
