"""Where the activations lie in RAM: here the board enters the line.

An integer network and a board enter; the network leaves with a memory plan in its file where TFLite
Micro will run it and the plan saves RAM, beside the predicted arena. A file that somebody else made
stays as it is, with its own plan if it has one. A generated C program has its own arena, whose plan
is no prediction.
"""

from __future__ import annotations

from dataclasses import replace

from edgekit.convert import tflite_reader, tflite_writer
from edgekit.lower.isa import Isa
from edgekit.plan.arena import ArenaPlan, build_for, plan_arena
from edgekit.plan.boards import Board
from edgekit.plan.offline import plan_for
from edgekit.plan.static_memory import arena_plan
from edgekit.plan.striping import plan_program
from edgekit.stages.entry import Entry
from edgekit.stages.integer import Integer


def placed(
    entry: Entry, integer: Integer, board: Board, target: str, ram_bytes: int | None
) -> tuple[Integer, ArenaPlan]:
    """The network as it is deployed, and the arena of the target: TFLite Micro's, or the program's.

    Args:
        ram_bytes: for the target c; see `plan_program`.

    Raises:
        DoesNotFitError: no plan needs so little RAM.
        UnsupportedError: a kernel's memory is not known, or there is no kernel.
    """
    graph = integer.graph
    if target == "c":
        plan = plan_program(graph, Isa.of(board.core), ram_bytes)
        return integer, arena_plan(plan.program, plan.memory)
    if entry.tflite is not None:
        offsets, order = tflite_reader.read_offsets(entry.tflite), list(graph.tensors)
        return integer, plan_arena(graph, build_for(board), offsets, order)
    if target != "tflm":
        return integer, plan_arena(graph, build_for(board))
    offsets, arena = plan_for(graph, board)
    return replace(integer, tflite=tflite_writer.write(graph, offsets)), arena
