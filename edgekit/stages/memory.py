"""Where the activations lie in RAM: here the board enters the line.

An integer network and a board enter; the network leaves with a memory plan in its file where TFLite
Micro will run it and the plan saves RAM, beside the predicted arena. A file that somebody else made
stays as it is, with its own plan if it has one. A generated C program has its own arena, whose plan
is no prediction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from edgekit.convert import tflite_reader, tflite_writer
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Graph
from edgekit.graph.passes.folding import fold
from edgekit.lower.isa import Isa
from edgekit.plan.arena import ArenaPlan, build_for, plan_arena
from edgekit.plan.boards import Board
from edgekit.plan.offline import plan_for
from edgekit.plan.static_memory import arena_plan
from edgekit.plan.striping import plan_program
from edgekit.stages.entry import Entry
from edgekit.stages.integer import Integer
from edgekit.stages.request import Request


@dataclass(frozen=True, eq=False)
class Placed:
    """The network as it is deployed.

    Attributes:
        integer: what the bundle's file holds.
        computed: what the target computes; of a C program with folding, less than the file holds.
        arena: of the target: TFLite Micro's, or the program's.
        macs_before: of the network before folding; None if it was not folded.
    """

    integer: Integer
    computed: Graph
    arena: ArenaPlan
    macs_before: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The report's "folded" section, if there is one."""
        if self.macs_before is None:
            return {}
        after = graph_cost(self.computed).macs
        return {"folded": {"macs_before": self.macs_before, "macs_after": after}}


def placed(request: Request, entry: Entry, integer: Integer, board: Board, target: str) -> Placed:
    """The network folded if that is wanted, and placed.

    C programs are folded unless the request says no: their file stays what it was. For other
    targets, whose file itself becomes smaller, the request has to say yes.

    Raises:
        DoesNotFitError: no plan needs so little RAM.
        UnsupportedError: a kernel's memory is not known, or there is no kernel.
    """
    folds = target == "c" if request.fold is None else request.fold
    if not folds:
        return _placed(request, entry.tflite, integer, integer.graph, board, target)
    graph, given, before = fold(integer.graph), entry.tflite, graph_cost(integer.graph).macs
    if target != "c" and graph is not integer.graph:
        integer, given = replace(integer, graph=graph, tflite=tflite_writer.write(graph)), None
    return replace(_placed(request, given, integer, graph, board, target), macs_before=before)


def _placed(
    request: Request,
    given: bytes | None,
    integer: Integer,
    computed: Graph,
    board: Board,
    target: str,
) -> Placed:
    """Args: given: somebody else's file, whose plan stays."""
    if target == "c":
        plan = plan_program(computed, Isa.of(board.core), request.ram_bytes)
        return Placed(integer, computed, arena_plan(plan.program, plan.memory))
    if given is not None:
        offsets, order = tflite_reader.read_offsets(given), list(computed.tensors)
        arena = plan_arena(computed, build_for(board), offsets, order)
        return Placed(integer, computed, arena)
    if target != "tflm":
        return Placed(integer, computed, plan_arena(computed, build_for(board)))
    offsets, arena = plan_for(computed, board)
    tflite = tflite_writer.write(computed, offsets)
    return Placed(replace(integer, tflite=tflite), computed, arena)
