"""Where everything lies in the arena of a generated C program.

A `Program` enters; a frozen `StaticMemory` leaves: the offset of each activation and of each
kernel's scratch, known before anything runs. Views take the place of what they are views of, and a
kernel that may overwrite an input does so where that input is read for the last time.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.lower.program import Program, Step
from edgekit.plan.arena import ALIGNMENT, ArenaPlan, PlacedBuffer, activation_buffers, peak
from edgekit.plan.greedy import Buffer
from edgekit.plan.placement import lower_bound, pack
from edgekit.plan.tflm_memory import align


@dataclass(frozen=True)
class StaticMemory:
    """The arena of a program.

    Attributes:
        arena_bytes: its size, a multiple of 16; its start is aligned to 16.
        offsets: of each activation from the arena's start, by tensor name.
        scratch: of each step's scratch, by the step's index; steps without any are left out.
        bound_bytes: the most bytes alive at one step: no placement of these buffers needs fewer.
    """

    arena_bytes: int
    offsets: dict[str, int]
    scratch: dict[int, int]
    bound_bytes: int


def plan_memory(program: Program) -> StaticMemory:
    """Place the activations and scratch buffers of a program."""
    groups = _groups(program)
    scratch = {
        index: Buffer(f"scratch {index}", size, index + 1, index + 1)
        for index, step in enumerate(program.steps)
        if (size := _scratch_bytes(step))
    }
    buffers = [group.buffer for group in groups] + list(scratch.values())
    packing = pack(buffers)
    return StaticMemory(
        arena_bytes=packing.height_bytes,
        offsets={
            name: offset
            for group, offset in zip(groups, packing.offsets, strict=False)
            for name in group.names
        },
        scratch=dict(zip(scratch, packing.offsets[len(groups) :], strict=True)),
        bound_bytes=lower_bound(buffers),
    )


def arena_plan(program: Program, memory: StaticMemory) -> ArenaPlan:
    """The same as pictures and reports show it: every buffer over its life at its place."""
    tensors = [
        PlacedBuffer(b.name, b.size_bytes, b.first, b.last, memory.offsets[b.name], False)
        for b in activation_buffers(program.graph)
    ]
    scratch = [
        PlacedBuffer(step.node.name, _scratch_bytes(step), index, index, offset, True)
        for index, step in enumerate(program.steps, start=1)
        if (offset := memory.scratch.get(index - 1)) is not None
    ]
    buffers = (*tensors, *scratch)
    step, peak_bytes = peak(buffers, len(program.steps))
    return ArenaPlan(
        arena_bytes=memory.arena_bytes,
        used_bytes=memory.arena_bytes,
        activations_bytes=memory.arena_bytes,
        persistent_bytes=0,
        setup_bytes=0,
        buffers=buffers,
        peak_node=program.steps[step - 1].node.name if step else "",
        peak_bytes=peak_bytes,
        build=None,
    )


def _scratch_bytes(step: Step) -> int:
    return align(max((k.scratch_bytes or 0 for k in step.kernels), default=0), ALIGNMENT)


@dataclass
class _Group:
    """Tensors that share a place: `buffer` covers all their lives."""

    buffer: Buffer
    names: list[str]

    def join(self, other: Buffer) -> None:
        own = self.buffer
        size, last = max(own.size_bytes, other.size_bytes), max(own.last, other.last)
        self.buffer = Buffer(own.name, size, min(own.first, other.first), last)
        self.names.append(other.name)


def _groups(program: Program) -> list[_Group]:
    """The activations, those that share their place together."""
    buffers = {buffer.name: buffer for buffer in activation_buffers(program.graph)}
    found = {name: _Group(buffer, [name]) for name, buffer in buffers.items()}
    for index, step in enumerate(program.steps, start=1):
        source = _gives_way(program, step, found, index)
        if source is not None:
            group = found[source]
            group.join(buffers[step.node.outputs[0]])
            found[step.node.outputs[0]] = group
    return list({id(group): group for group in found.values()}.values())


def _gives_way(program: Program, step: Step, found: dict[str, _Group], index: int) -> str | None:
    """The input whose place the first output takes; None if it needs one of its own."""
    if not step.kernels:
        return program.activations(step.node)[0]
    if len(step.kernels) > 1:
        return None
    kernel, tensors = step.kernels[0], program.graph.tensors
    size = align(tensors[kernel.outputs[0]].size_bytes, ALIGNMENT)
    for position in kernel.overwrites:
        source = kernel.operands[position]
        if not isinstance(source, str):
            continue
        group = found[source]
        kept = any(name in program.graph.outputs for name in group.names)
        if group.buffer.last == index and group.buffer.size_bytes >= size and not kept:
            return source
    return None
