"""Block reconstruction: the training behind `repairs/block_reconstruction`.

Block after block, what the integers before it give enters both the block and its training: weights
may leave the integer they were rounded to for a neighbour, biases move, until the block's output on
calibration samples is as near to the float network's as they can bring it. A block whose output did
not come nearer keeps the integers it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from edgekit.compress.blocks import Block, blocks
from edgekit.compress.calibrate import Samples
from edgekit.compress.quantized import Bench, to_input
from edgekit.compress.simulation.network import Simulation, float_outputs
from edgekit.compress.simulation.threads import computing
from edgekit.graph.execute import check_inputs
from edgekit.graph.ir import Graph

_TOGETHER = 16
_RATE = 0.03  # steps of a weight (or an output) that one update moves it at most, to begin with
_REACH = 1.0  # steps that a weight may go from where it was


def reconstruct(
    graph: Graph, integer: Graph, samples: Samples, updates: int, bench: Bench
) -> Graph:
    """The integer graph with other weights and biases.

    Args:
        graph: float32; its activations have the names of the integer graph's.
        samples: (n, ...) in the units of `graph`.
        updates: of each block.

    Raises:
        InputError: the samples do not fit the graph.
    """
    check_inputs(graph, [samples])
    parts = blocks(integer, graph.tensors)
    random = np.random.default_rng(bench.seed)
    with computing(bench.threads):
        steps = torch.from_numpy(to_input(integer, samples))
        reals = {graph.inputs[0]: torch.from_numpy(samples)}
        at = 0
        for done, part in enumerate(parts):
            bench.progress("repair: block-reconstruction", done, len(parts))
            end = _end(graph, part.results)
            wanted = _float_part(graph, at, end, reals)
            at, reals = end, wanted
            goal = {name: wanted[name] for name in part.results}
            integer, steps = _trained(integer, graph, part, steps, goal, updates, random)
        bench.progress("repair: block-reconstruction", len(parts), len(parts))
    return integer


def _end(graph: Graph, results: Sequence[str]) -> int:
    """How many nodes of the float graph are computed once all results are there."""
    made = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    return 1 + max(made[name] for name in results)


def _float_part(graph: Graph, start: int, end: int, values: dict[str, Tensor]) -> dict[str, Tensor]:
    """What nodes behind `end` read of those before it, for all samples."""
    nodes = graph.nodes[start:end]
    read = {name for node in graph.nodes[end:] for name in node.inputs} | set(graph.outputs)
    found: dict[str, list[Tensor]] = {}
    for chunk in _chunks(len(next(iter(values.values())))):
        known = float_outputs(graph, nodes, {name: v[chunk] for name, v in values.items()})
        for name in read & known.keys():
            found.setdefault(name, []).append(known[name])
    return {name: torch.cat(pieces) for name, pieces in found.items()}


def _trained(
    integer: Graph,
    graph: Graph,
    block: Block,
    steps: Tensor,
    wanted: dict[str, Tensor],
    updates: int,
    random: np.random.Generator,
) -> tuple[Graph, Tensor]:
    """The graph with the block's new integers, and the block's output for all samples."""
    simulation = Simulation(integer, block.nodes, graph)
    before, output = _measured(simulation, block, steps, wanted)
    if not len(simulation.layers):
        return integer, output
    optimizer = torch.optim.Adam(simulation.parameters(), lr=_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for chosen in _draws(len(steps), updates, random):
        optimizer.zero_grad()
        _error(
            simulation, block, steps[chosen], {n: v[chosen] for n, v in wanted.items()}
        ).backward()
        optimizer.step()
        schedule.step()
        simulation.keep_near(_REACH)
    after, trained = _measured(simulation, block, steps, wanted)
    return (simulation.integer(), trained) if after < before else (integer, output)


def _error(
    simulation: Simulation, block: Block, steps: Tensor, wanted: dict[str, Tensor]
) -> Tensor:
    known = simulation({block.source: steps.float()})
    errors = [
        (simulation.real(name, known[name]) - wanted[name]).square().mean()
        for name in block.results
    ]
    return torch.stack(errors).sum()


def _measured(
    simulation: Simulation, block: Block, steps: Tensor, wanted: dict[str, Tensor]
) -> tuple[float, Tensor]:
    """The squared error over all samples, and the first result as int8."""
    total, found = 0.0, []
    with torch.no_grad():
        for chunk in _chunks(len(steps)):
            known = simulation({block.source: steps[chunk].float()})
            for name in block.results:
                error = simulation.real(name, known[name]) - wanted[name][chunk]
                total += float(error.square().sum(dtype=torch.float64))
            found.append(known[block.results[0]].to(torch.int8))
    return total, torch.cat(found)


def _chunks(count: int) -> Iterator[slice]:
    return (slice(at, at + _TOGETHER) for at in range(0, count, _TOGETHER))


def _draws(count: int, updates: int, random: np.random.Generator) -> Iterator[Tensor]:
    """Indices of each update's samples: passes over all of them, in an order drawn anew."""
    order = np.empty(0, np.int64)
    for _ in range(updates):
        if len(order) < min(_TOGETHER, count):
            order = np.concatenate([order, random.permutation(count)])
        yield torch.from_numpy(order[:_TOGETHER])
        order = order[_TOGETHER:]
