"""The offline memory plan that a model can bring along, so that TFLite Micro needs less RAM.

A graph and a build of TFLM enter; the offset of each activation leaves, to be written into the file
(`convert.tflite_writer`), or nothing where TFLM's own planner does as well. TFLM takes the offsets
as they are and places the kernels' scratch buffers around them, so the plan is made with room for
these; with another kernel library it stays correct and may cost a little more.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.graph.ir import Graph
from edgekit.plan.arena import ArenaPlan, activation_buffers, build_for, plan_arena, scratch_buffers
from edgekit.plan.boards import Board
from edgekit.plan.greedy import Buffer
from edgekit.plan.in_place import groups
from edgekit.plan.placement import pack
from edgekit.plan.tflm_memory import TflmBuild

Offsets = dict[str, int]


def plan_offline(graph: Graph, build: TflmBuild, *, in_place: bool = True) -> Offsets:
    """The offset of every activation, by tensor name; empty where it would save nothing.

    Args:
        graph: integer or float.
        build: whose scratch buffers get room.
        in_place: let element-wise nodes overwrite their inputs (`in_place`).

    Raises:
        UnsupportedError: the graph holds an op whose kernel is not known.
    """
    tensors = activation_buffers(graph)
    scratch = _one_a_step(scratch_buffers(graph, build))
    best, least = {}, plan_arena(graph, build).activations_bytes
    alone = [[buffer] for buffer in tensors]
    for sharing in (alone, groups(graph, tensors)) if in_place else (alone,):
        packing = pack([_merged(group) for group in sharing] + scratch)
        if packing.height_bytes < least:
            least = packing.height_bytes
            best = {
                buffer.name: offset
                for group, offset in zip(sharing, packing.offsets, strict=False)
                for buffer in group
            }
    return {buffer.name: best[buffer.name] for buffer in tensors} if best else {}


def plan_for(graph: Graph, board: Board) -> tuple[Offsets, ArenaPlan]:
    """The offline plan for a board and the arena that the model then needs.

    Tensors share their place only on Cortex-M, whose kernels are known to allow it.

    Raises:
        UnsupportedError: the graph holds an op whose kernel is not known.
    """
    build = build_for(board)
    offsets = plan_offline(graph, build, in_place=board.core.startswith("cortex-m"))
    return offsets, plan_arena(graph, build, offsets)


def _one_a_step(scratch: Sequence[Buffer]) -> list[Buffer]:
    """The scratch buffers of a node as one: where that has room, TFLM finds room for each."""
    sizes: dict[int, int] = {}
    for buffer in scratch:
        sizes[buffer.first] = sizes.get(buffer.first, 0) + buffer.size_bytes
    return [Buffer(f"scratch {step}", size, step, step) for step, size in sizes.items()]


def _merged(group: Sequence[Buffer]) -> Buffer:
    """One buffer for all of a group."""
    return Buffer(group[0].name, group[0].size_bytes, group[0].first, group[-1].last)
