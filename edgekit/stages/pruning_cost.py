"""What a module would cost as it will be deployed: what `--prune-to` looks at.

The name of a cost enters, a function of modules leaves. RAM, flash and instructions are computed
for the board as for the real network, with placeholders for the integers, since none of them
depends on a weight. Refused: memory and instructions where no microcontroller is built for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgekit.compress.pruning.rule import Cost
from edgekit.convert import tflite_writer
from edgekit.errors import UsageError
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.program import Program
from edgekit.models.spec import ModelSpec
from edgekit.plan.boards import Board
from edgekit.plan.offline import plan_for
from edgekit.plan.striping import plan_program
from edgekit.stages.request import Request, Training, board_for
from edgekit.stages.room import placeholder

if TYPE_CHECKING:
    from torch import nn

    from edgekit.compress.pruning.target import Measure


def measure_of(cost: Cost, request: Training, spec: ModelSpec) -> Measure:
    """How to measure a module that was cut from an architecture.

    Raises:
        UsageError: the cost is one of a microcontroller, and none is built for.
    """
    if cost == "params":
        return lambda module: sum(parameter.numel() for parameter in module.parameters())
    measured = _macs if cost == "macs" else _on_board(cost, request)
    return lambda module: measured(_graph(module, spec))


def _macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return graph_cost(graph).macs


def _on_board(cost: Cost, request: Training) -> Callable[[Graph], int]:
    if not isinstance(request, Request) or request.target not in ("c", "tflm"):
        raise UsageError(
            f"--prune-to {cost} is for microcontrollers.",
            hint="Build for --target c or tflm, or name macs or params.",
        )
    board = board_for(request)
    needs = _program_needs if request.target == "c" else _interpreter_needs
    return lambda graph: needs(cost, request, placeholder(request, graph), board)


def _program_needs(cost: Cost, request: Request, graph: Graph, board: Board) -> int:
    """What the generated C program takes."""
    plan = plan_program(graph, Isa.of(board.core), request.ram_bytes)
    match cost:
        case "flash":
            return plan.program.weights_bytes
        case "instructions":
            return _estimate(plan.program, board)
    return plan.memory.arena_bytes


def _estimate(program: Program, board: Board) -> int:
    if program.estimate is None:
        raise UsageError(
            f"There is no estimate of instructions for {board.core}: a kernel was never measured.",
            hint="--prune-to macs works for every network.",
        )
    return program.estimate.instructions


def _interpreter_needs(cost: Cost, request: Request, graph: Graph, board: Board) -> int:
    """What TFLite Micro takes."""
    if cost == "instructions":
        raise UsageError(
            "--prune-to instructions is for --target c, whose kernels were measured.",
            hint="--prune-to macs works for every target.",
        )
    offsets, arena = plan_for(graph, board)
    return len(tflite_writer.write(graph, offsets)) if cost == "flash" else arena.arena_bytes


def _graph(module: nn.Module, spec: ModelSpec) -> Graph:
    from edgekit.convert import onnx_graph, torch_onnx

    return onnx_graph.read(torch_onnx.export(module, spec.input_shape, spec.arch))
