"""Where everything lies in the arena of a generated C program.

A `Program` enters; a frozen `StaticMemory` leaves: the offset of each activation and of each
kernel's scratch, known before anything runs. `sharing` says which activations share a place and
`placement` where that is; of what may be shared or not, here is chosen what gives the lowest arena,
and of two equal ones that with fewer copies.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.lower.program import Program
from edgekit.plan.arena import ArenaPlan, PlacedBuffer, peak
from edgekit.plan.placement import Packing, lower_bound, pack
from edgekit.plan.sharing import Choice, Sharing, costly, parts, share, striped_buffers


@dataclass(frozen=True)
class StaticMemory:
    """The arena of a program.

    Attributes:
        arena_bytes: its size, a multiple of 16; its start is aligned to 16.
        offsets: of each activation from the arena's start, by tensor name.
        scratch: of each step's scratch, by the step's index; steps without any are left out.
        scratch_bytes: how large that is.
        bound_bytes: the most bytes alive at one step: no placement of these buffers needs fewer.
    """

    arena_bytes: int
    offsets: dict[str, int]
    scratch: dict[int, int]
    scratch_bytes: dict[int, int]
    bound_bytes: int


def quick_arena_bytes(program: Program) -> int:
    """An arena that is enough, without a search for the smallest: for comparing many programs."""
    sharing = share(program, Choice())
    return pack(sharing.buffers, sharing.trails, is_quick=True).height_bytes


def plan_memory(program: Program) -> StaticMemory:
    """Place the activations and scratch buffers of a program."""
    plan = _with_costly_steps(program, _with_parts(program, _Plan.of(program, Choice())))
    offsets = plan.packing.offsets
    scratch = plan.sharing.scratch
    return StaticMemory(
        arena_bytes=plan.packing.height_bytes,
        offsets={
            name: offset + place
            for group, offset in zip(plan.sharing.groups, offsets, strict=False)
            for name, place in group.places.items()
        },
        scratch=dict(zip(scratch, offsets[len(plan.sharing.groups) :], strict=True)),
        scratch_bytes={index: buffer.size_bytes for index, buffer in scratch.items()},
        bound_bytes=lower_bound(plan.sharing.buffers, plan.sharing.trails),
    )


@dataclass(frozen=True)
class _Plan:
    """A choice and what comes of it."""

    choice: Choice
    sharing: Sharing
    packing: Packing

    @staticmethod
    def of(program: Program, choice: Choice) -> _Plan:
        sharing = share(program, choice)
        return _Plan(choice, sharing, pack(sharing.buffers, sharing.trails))


def _with_parts(program: Program, plan: _Plan) -> _Plan:
    """As many parts inside their wholes as do not cost memory: all together, else one by one."""
    every = frozenset(parts(program))
    if not every:
        return plan
    trial = _Plan.of(program, Choice(every))
    if trial.packing.height_bytes <= plan.packing.height_bytes:
        return trial
    for part in sorted(every):
        trial = _Plan.of(program, Choice(plan.choice.parts | {part}))
        if trial.packing.height_bytes <= plan.packing.height_bytes:
            plan = trial
    return plan


def _with_costly_steps(program: Program, plan: _Plan) -> _Plan:
    """Those steps in place without which the arena would be higher; none if that is not lower."""
    able = frozenset(costly(program))
    others = (i for i in range(1 + len(program.steps)) if i - 1 not in able)
    height = plan.packing.height_bytes
    if not able or max(map(plan.sharing.bytes_at, others), default=0) >= height:
        return plan
    every = _Plan.of(program, Choice(plan.choice.parts, able))
    low = every.packing.height_bytes
    if low >= height:
        return plan
    needed = frozenset(i for i in able if plan.sharing.bytes_at(i + 1) > low)
    few = _Plan.of(program, Choice(plan.choice.parts, needed))
    return few if few.packing.height_bytes <= low else every


def arena_plan(program: Program, memory: StaticMemory) -> ArenaPlan:
    """The same as pictures and reports show it: every buffer over its life at its place."""
    tensors = [
        PlacedBuffer(b.name, b.size_bytes, b.first, b.last, memory.offsets[b.name], False)
        for b in striped_buffers(program)
    ]
    scratch = [
        PlacedBuffer(
            program.steps[index].node.name, size, index + 1, index + 1, memory.scratch[index], True
        )
        for index, size in memory.scratch_bytes.items()
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
