"""Quantization-aware training: the training behind `repairs/qat`.

The forward pass is the int8 network itself, to the bit; gradients go straight through its
roundings to float weights. It learns what the float network says of each picture.
Rates fall along a cosine. Of the states between, the one wins that fits a fixed set of training
pictures best; the one before training is among them.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional

from edgekit.compress.quantized import Bench, Lesson, to_input
from edgekit.compress.simulation.network import Simulation, float_outputs
from edgekit.compress.simulation.threads import computing
from edgekit.graph.execute import check_inputs
from edgekit.graph.ir import Graph

BATCH = 64
_EPOCHS = 5  # at most, however few pictures there are
_RATE = 0.003  # steps of a weight (or an output) that one update moves it at most, to begin with
_CHECKS = 5  # states that are compared, besides the first
_CHECKED = 16  # batches they are compared on


@dataclass(frozen=True, eq=False)
class _Task:
    """One batch: the network's input in steps, and the probabilities it should give."""

    steps: Tensor
    wanted: Tensor


def finetune(
    graph: Graph, integer: Graph, updates: int, bench: Bench, teacher: Graph | None = None
) -> Graph | None:
    """The integer graph with other weights and biases; None if training made it no better.

    Args:
        graph: float32, its only output a row of logits.
        integer: int8, of the same logits.
        updates: at most.
        bench: has lessons.
        teacher: float32, whose answers are learned; by default the graph itself.

    Raises:
        InputError: its pictures do not fit the graph.
    """
    assert bench.lessons is not None
    lessons, teacher = bench.lessons, teacher or graph
    with computing(bench.threads):
        simulation = Simulation(integer, integer.nodes, graph)
        checked = [
            _task(teacher, integer, lesson) for lesson in islice(lessons(0, BATCH), _CHECKED)
        ]
        first = best = _loss_over(simulation, integer, checked)
        state = copy.deepcopy(simulation.state_dict())
        for _ in _trained(simulation, teacher, integer, updates, bench):
            loss = _loss_over(simulation, integer, checked)
            if loss < best:
                best, state = loss, copy.deepcopy(simulation.state_dict())
        simulation.load_state_dict(state)
    return simulation.integer() if best < first else None


def _trained(
    simulation: Simulation, teacher: Graph, integer: Graph, updates: int, bench: Bench
) -> Iterator[None]:
    """Trains the simulation; yields wherever its state is to be compared."""
    optimizer = torch.optim.Adam(simulation.parameters(), lr=_RATE)
    assert bench.lessons is not None
    done, every = 0, max(1, updates // _CHECKS)
    for epoch in range(_EPOCHS):
        for lesson in bench.lessons(epoch, BATCH):
            if done % every == 0:
                bench.progress("repair: qat", done, updates)
            part = max(done / updates, epoch / _EPOCHS)
            for group in optimizer.param_groups:
                group["lr"] = _RATE * (1 + math.cos(math.pi * part)) / 2
            optimizer.zero_grad()
            _loss(simulation, integer, _task(teacher, integer, lesson)).backward()
            optimizer.step()
            done += 1
            if done % every == 0:
                yield
            if done == updates:
                return
        yield


def _task(teacher: Graph, integer: Graph, lesson: Lesson) -> _Task:
    samples, _ = lesson
    check_inputs(teacher, [samples])
    known = float_outputs(teacher, teacher.nodes, {teacher.inputs[0]: torch.from_numpy(samples)})
    logits = known[teacher.outputs[0]].reshape(len(samples), -1)
    wanted = torch.softmax(logits, dim=1)
    return _Task(torch.from_numpy(to_input(integer, samples)).float(), wanted)


def _loss(simulation: Simulation, integer: Graph, task: _Task) -> Tensor:
    name = integer.outputs[0]
    known = simulation({integer.inputs[0]: task.steps})
    logits = simulation.real(name, known[name]).reshape(len(task.wanted), -1)
    return functional.cross_entropy(logits, task.wanted)


def _loss_over(simulation: Simulation, integer: Graph, tasks: Sequence[_Task]) -> float:
    with torch.no_grad():
        losses = [float(_loss(simulation, integer, task)) * len(task.wanted) for task in tasks]
    return sum(losses) / sum(len(task.wanted) for task in tasks)
