"""Which activations of a program share a place in its arena.

A `Program` and two choices enter; groups of tensors leave, each with one buffer that covers all
their lives. Always shared: a view and what it is a view of; an input that nobody reads again and
the output of a kernel that may overwrite it. By choice: a whole and the parts that are copied into
or out of it, which then are not copied (`ek_copy_rows` does nothing where both are one place); the
input and output of a kernel that needs more scratch for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgekit.lower.program import Kernel, Program
from edgekit.plan.arena import ALIGNMENT, activation_buffers
from edgekit.plan.greedy import Buffer
from edgekit.plan.placement import shared_bytes
from edgekit.plan.tflm_memory import align


@dataclass(frozen=True, order=True)
class Part:
    """A part of a whole, copied by a kernel of a step, that could lie there instead."""

    step: int
    kernel: int


@dataclass(frozen=True)
class Choice:
    """What is shared of all that may be.

    Attributes:
        parts: those that lie inside their whole, where nothing forbids it.
        costly: steps that overwrite their input at the price of more scratch.
    """

    parts: frozenset[Part] = frozenset()
    costly: frozenset[int] = frozenset()


@dataclass
class Group:
    """Tensors that share a buffer: name -> offset inside it, in bytes."""

    buffer: Buffer
    places: dict[str, int]

    def hold(self, other: Group, offset: int) -> None:
        """Take another group in, at an offset."""
        one, two = self.buffer, other.buffer
        size = max(one.size_bytes, offset + two.size_bytes)
        self.buffer = Buffer(one.name, size, min(one.first, two.first), max(one.last, two.last))
        self.places |= {name: offset + place for name, place in other.places.items()}


@dataclass(frozen=True)
class Sharing:
    """The groups, and the scratch that each step needs then; both with their lives.

    Attributes:
        trails: (group, other): how many bytes the other must begin behind the first, where that
            is enough although both are alive; see `lower.program.Trail`.
    """

    groups: tuple[Group, ...]
    scratch: dict[int, Buffer]
    trails: dict[tuple[int, int], int]

    @property
    def buffers(self) -> list[Buffer]:
        """All that is to be placed: the groups', then the scratch."""
        return [group.buffer for group in self.groups] + list(self.scratch.values())

    def bytes_at(self, step: int) -> int:
        """What is alive during a step, counted from 1."""
        alive = {i for i, b in enumerate(self.buffers) if b.first <= step <= b.last}
        saved = sum(
            shared_bytes(self.buffers[i], self.buffers[j], distance)
            for (i, j), distance in self.trails.items()
            if {i, j} <= alive
        )
        return sum(self.buffers[i].size_bytes for i in alive) - saved


def striped_buffers(program: Program) -> list[Buffer]:
    """The activations as buffers; of those inside stripes only the lines.

    What stripes read from outside lives until the last one, what they leave from the first one on,
    and so do lines that are kept. Other lines live from layer to layer within each stripe.
    """
    buffers = {buffer.name: buffer for buffer in activation_buffers(program.graph)}
    for stripes in program.stripes:
        begin, end = stripes.first + 1, stripes.last + 1
        for step in program.steps[stripes.first : stripes.last + 1]:
            for name in (*program.activations(step.node), *step.node.outputs):
                buffer, lines = buffers[name], stripes.lines.get(name)
                first, last = min(buffer.first, end), max(buffer.last, begin)
                if lines is None or lines.are_kept:
                    first = min(first, begin) if name in step.node.outputs else first
                    last = max(last, end)
                size = align(lines.size_bytes, ALIGNMENT) if lines else buffer.size_bytes
                buffers[name] = Buffer(name, size, first, last)
    return list(buffers.values())


def parts(program: Program) -> Iterator[Part]:
    """Activations that are copied as one run of bytes from or to where a tensor may begin."""
    for index, step in enumerate(program.steps):
        for position, kernel in enumerate(step.kernels):
            if kernel.name == "ek_copy_rows" and isinstance(kernel.operands[0], str):
                fields = kernel.parameters
                if fields["rows"] == 1 and _offset_in_whole(kernel) % ALIGNMENT == 0:
                    yield Part(index, position)


def costly(program: Program) -> Iterator[int]:
    """Steps that could overwrite their input if they had more scratch."""
    for index, step in enumerate(program.steps):
        able = any(kernel.in_place_scratch_bytes is not None for kernel in step.kernels)
        if able and not program.is_in_stripes(index):
            yield index


def share(program: Program, choice: Choice) -> Sharing:
    """Go through the steps; each may put its outputs where something else was."""
    return _Steps(program, choice).sharing()


def _offset_in_whole(kernel: Kernel) -> int:
    """One of the two is 0: parts have nothing but themselves."""
    source, target = kernel.parameters["input_offset"], kernel.parameters["output_offset"]
    assert isinstance(source, int)
    assert isinstance(target, int)
    return source + target


class _Steps:
    def __init__(self, program: Program, choice: Choice) -> None:
        self._program = program
        self._choice = choice
        buffers = striped_buffers(program)
        self._group_of = {buffer.name: Group(buffer, {buffer.name: 0}) for buffer in buffers}
        self._scratch: dict[int, Buffer] = {}

    def sharing(self) -> Sharing:
        for index, step in enumerate(self._program.steps):
            kernels = self._program.kernels_of(index)
            scratch_bytes = max((kernel.scratch_bytes or 0 for kernel in kernels), default=0)
            if self._program.is_in_stripes(index):
                pass
            elif not step.kernels:
                self._join(self._program.activations(step.node)[0], step.node.outputs[0], 0)
            elif len(step.kernels) == 1 and (source := self._gives_way(index, step.kernels[0])):
                self._join(source, step.kernels[0].outputs[0], 0)
                if index in self._choice.costly:
                    scratch_bytes = step.kernels[0].in_place_scratch_bytes or scratch_bytes
            for position, kernel in enumerate(step.kernels):
                if Part(index, position) in self._choice.parts:
                    self._embed(kernel)
            if scratch_bytes:
                size = align(scratch_bytes, ALIGNMENT)
                self._scratch[index] = Buffer(step.node.name, size, index + 1, index + 1)
        groups = tuple({id(group): group for group in self._group_of.values()}.values())
        return Sharing(groups, self._scratch, dict(self._trails(groups)))

    def _trails(self, groups: tuple[Group, ...]) -> Iterator[tuple[tuple[int, int], int]]:
        """The trails of stripes, unless anything else lies in the places that would overlap."""
        for stripes in self._program.stripes:
            if stripes.trail is not None:
                output = self._program.steps[stripes.last].node.outputs[0]
                one, other = self._group_of[output], self._group_of[stripes.trail.name]
                ends = other.buffer.last == stripes.last + 1 and one.buffer.first > stripes.first
                if ends and set(other.places.values()) == {0} and one.places[output] == 0:
                    key = groups.index(one), groups.index(other)
                    yield key, align(stripes.trail.distance_bytes, ALIGNMENT)

    def _join(self, name: str, other: str, offset: int) -> None:
        """All that shares with `other` moves to `offset` bytes behind the start of `name`."""
        group, moved = self._group_of[name], self._group_of[other]
        group.hold(moved, group.places[name] + offset)
        for member in moved.places:
            self._group_of[member] = group

    def _gives_way(self, index: int, kernel: Kernel) -> str | None:
        """The input whose place the output takes; None if it needs one of its own."""
        tensors, outputs = self._program.graph.tensors, self._program.graph.outputs
        positions = (0,) if index in self._choice.costly else kernel.overwrites
        for position in positions:
            source = kernel.operands[position]
            if isinstance(source, str):
                group = self._group_of[source]
                room = align(tensors[source].size_bytes, ALIGNMENT)
                is_last = group.buffer.last == index + 1 and not set(outputs) & set(group.places)
                if is_last and tensors[kernel.outputs[0]].size_bytes <= room:
                    return source
        return None

    def _embed(self, kernel: Kernel) -> None:
        """Put the part inside the whole, unless it already lies, or shares, somewhere else."""
        (source,), (target,), size = kernel.operands, kernel.outputs, kernel.parameters["row_bytes"]
        assert isinstance(source, str)
        assert isinstance(size, int)
        is_split = self._program.graph.tensors[source].size_bytes > size
        whole, part = (source, target) if is_split else (target, source)
        group = self._group_of[part]
        fits = group.buffer.size_bytes <= align(size, ALIGNMENT) and group.places[part] == 0
        if fits and group is not self._group_of[whole]:
            self._join(whole, part, _offset_in_whole(kernel))
