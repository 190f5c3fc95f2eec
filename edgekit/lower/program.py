"""The program: a graph as calls of C kernels, with every constant as the kernel reads it.

One `Program` is what the memory planner, the C writer and the instruction benchmark read. Nothing
here is text yet: parameters are numbers and arrays under the names of the kernel's struct, so that
a test can look at them. A kernel's struct and meaning stand in `firmware_templates/runtime/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from edgekit.graph.ir import Array, Graph, Node
from edgekit.graph.reference.windows import Axis


@dataclass(frozen=True, eq=False)
class Constant:
    """An array in flash.

    Attributes:
        role: what it is to its kernel, part of its C name: "weights", "bias".
        data: flattened when written; its dtype is the C element type.
        alignment: of its first byte, at least that of an element.
        layout: for the comment beside it: "OHWI", "blocks of 4 channels".
    """

    role: str
    data: Array
    alignment: int = 4
    layout: str = ""


Value = int | float | tuple[int, ...] | Constant | None


@dataclass(frozen=True, eq=False)
class Kernel:
    """One call of a kernel: `function(&parameters, operands..., outputs..., [scratch])`.

    Attributes:
        name: of the function and, with ".h" and ".c", of the runtime's files: "ek_conv_s8".
        struct: the type of its parameters, "ek_conv".
        parameters: its fields by name; None is a null pointer, a Constant a pointer to it.
        operands: what it reads, in order: activations by tensor name, constants.
        outputs: what it writes: tensor names.
        scratch_bytes: that it needs while it runs, aligned to 16; 0 passes a null pointer, None
            is a kernel that takes no scratch.
        overwrites: positions among the operands whose memory the output may take, because the
            kernel reads an element for the last time before it writes there.
        in_place_scratch_bytes: scratch with which the output may take the first operand's memory,
            None where no scratch allows that. The kernel sees it by the two pointers.
    """

    name: str
    struct: str
    parameters: Mapping[str, Value]
    operands: tuple[str | Constant, ...]
    outputs: tuple[str, ...]
    scratch_bytes: int | None = None
    overwrites: tuple[int, ...] = ()
    in_place_scratch_bytes: int | None = None

    @property
    def constants(self) -> tuple[Constant, ...]:
        """All arrays that it reads, operands first."""
        values = (*self.operands, *self.parameters.values())
        return tuple(value for value in values if isinstance(value, Constant))


OfRows = Callable[[Axis], Kernel]


@dataclass(frozen=True)
class Estimate:
    """What a step will take of the processor, before any compiler was there.

    Attributes:
        instructions: expected.
        error: the share by which such estimates usually miss: 0.05 is 5 %.
    """

    instructions: int
    error: float


@dataclass(frozen=True, eq=False)
class Step:
    """A node and the calls that compute it.

    Attributes:
        kernels: mostly one; several where a node is done in parts, none where nothing is to be
            done: the output is the first activation's bytes (a view).
        estimate: what they take; None if that was never measured.
        of_rows: windows along the rows of an image -> the one kernel for them: the same function
            with the same constants, parameters and scratch as they must be for so many rows. None
            if it computes everything or nothing.
        least_rows: of the output, for which `of_rows` holds.
        others: ways to compute the node that were not chosen, the cheapest first.
    """

    node: Node
    kernels: tuple[Kernel, ...]
    estimate: Estimate | None = None
    of_rows: OfRows | None = None
    least_rows: int = 1
    others: tuple[Step, ...] = ()

    @staticmethod
    def by_rows(node: Node, rows: Axis, of_rows: OfRows, least_rows: int = 1) -> Step:
        """The step of one kernel, for all rows of an image and for any others."""
        return Step(node, (of_rows(rows),), of_rows=of_rows, least_rows=least_rows)


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a kernel, where its tensors lie, and which part of the output it makes.

    Attributes:
        step: the index of the step that it belongs to.
        kernel: what is called; calls with the same parameters share it.
        offsets: bytes from the start of the place that each operand has, then of each output's
            place; 0 for constants.
        begin: the first byte that it makes, counted from the start of the whole tensor.
        made_bytes: how many it makes; 0 where it only moves what was made before.
    """

    step: int
    kernel: Kernel
    offsets: tuple[int, ...]
    begin: int = 0
    made_bytes: int = 0

    @property
    def moving(self) -> tuple[int, ...]:
        """All that may differ from one turn of a loop to the next."""
        return (*self.offsets, self.begin)

    def moved(self, by: tuple[int, ...]) -> Call:
        """The same call with something added to each of `moving`."""
        *offsets, begin = map(sum, zip(self.moving, by, strict=True))
        return replace(self, offsets=tuple(offsets), begin=begin)


@dataclass(frozen=True, eq=False)
class Loop:
    """Calls that are repeated; a single turn is no loop.

    Attributes:
        turns: how often.
        calls: of the first turn.
        strides: for each call, what is added to its `moving` from turn to turn.
    """

    turns: int
    calls: tuple[Call, ...]
    strides: tuple[tuple[int, ...], ...]

    def unrolled(self) -> Iterator[Call]:
        """Every call, in order."""
        for turn in range(self.turns):
            for call, strides in zip(self.calls, self.strides, strict=True):
                yield call.moved(tuple(turn * stride for stride in strides))


@dataclass(frozen=True)
class Lines:
    """The rows of a tensor that are in memory together, instead of all.

    Attributes:
        size_bytes: of the most rows.
        are_kept: whether some stay from one stripe to the next.
    """

    size_bytes: int
    are_kept: bool


@dataclass(frozen=True)
class Trail:
    """The output of stripes may lie on the rows of an input that were read for the last time.

    Attributes:
        name: of that input.
        distance_bytes: that it must begin behind the start of the output, at least.
    """

    name: str
    distance_bytes: int


@dataclass(frozen=True, eq=False)
class Stripes:
    """Consecutive steps that are computed together, some rows of the last one's output at a time.

    Attributes:
        first, last: the steps, both included.
        rows: of the last one's output in a stripe.
        lines: of each tensor that only these steps touch.
        trail: of the largest input that nobody else reads later; None if there is none.
        loops: the calls.
    """

    first: int
    last: int
    rows: int
    lines: Mapping[str, Lines]
    trail: Trail | None
    loops: tuple[Loop, ...]

    def calls(self) -> Iterator[Call]:
        """Every call, in order."""
        for loop in self.loops:
            yield from loop.unrolled()


@dataclass(frozen=True, eq=False)
class Program:
    """A graph and one step a node, in execution order.

    Attributes:
        stripes: which of the steps are computed in stripes, in order; see `lower.stripes`.
    """

    graph: Graph
    steps: tuple[Step, ...]
    stripes: tuple[Stripes, ...] = ()

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """All that are called, with their parameters, each once, in order of their first call."""
        calls = (call for part in self.parts() for loop in part for call in loop.calls)
        return tuple({id(call.kernel): call.kernel for call in calls}.values())

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The functions that are called, each once, sorted."""
        return tuple(sorted({kernel.name for kernel in self.kernels}))

    @property
    def constants(self) -> tuple[Constant, ...]:
        """All arrays that the kernels read, each once."""
        constants = (constant for kernel in self.kernels for constant in kernel.constants)
        return tuple({id(constant): constant for constant in constants}.values())

    @property
    def estimate(self) -> Estimate | None:
        """Of all steps, with the mean of their errors by their share; None if one has none."""
        parts = [step.estimate for step in self.steps if step.estimate is not None]
        if len(parts) < len(self.steps):
            return None
        total = sum(part.instructions for part in parts)
        missed = sum(part.instructions * part.error for part in parts)
        return Estimate(total, missed / total if total else 0.0)

    @property
    def weights_bytes(self) -> int:
        """All constants that the kernels read, as they lie in flash."""
        return sum(constant.data.nbytes for constant in self.constants)

    def parts(self) -> Iterator[tuple[Loop, ...]]:
        """The loops of each step, or of all steps of some stripes together, in order."""
        begins = {stripes.first: stripes for stripes in self.stripes}
        index = 0
        while index < len(self.steps):
            if index in begins:
                yield begins[index].loops
                index = begins[index].last + 1
            else:
                yield (self._whole(index),)
                index += 1

    def calls(self) -> Iterator[Call]:
        """Every call of an inference, in order."""
        for part in self.parts():
            for loop in part:
                yield from loop.unrolled()

    def kernels_of(self, index: int) -> tuple[Kernel, ...]:
        """What is called for a step, at once or in stripes."""
        for one in self.stripes:
            if one.first <= index <= one.last:
                calls = [call for loop in one.loops for call in loop.calls if call.step == index]
                return tuple({id(call.kernel): call.kernel for call in calls}.values())
        return self.steps[index].kernels

    def is_in_stripes(self, index: int) -> bool:
        """Whether a step is computed together with others."""
        return any(one.first <= index <= one.last for one in self.stripes)

    def _whole(self, index: int) -> Loop:
        """A step at once."""
        kernels = self.steps[index].kernels
        ends = [(0,) * (len(kernel.operands) + len(kernel.outputs)) for kernel in kernels]
        calls = tuple(
            Call(index, kernel, offsets) for kernel, offsets in zip(kernels, ends, strict=True)
        )
        return Loop(1, calls, tuple((*offsets, 0) for offsets in ends))

    def activations(self, node: Node) -> tuple[str, ...]:
        """The activations that a node reads."""
        return tuple(name for name in node.inputs if not self.graph.tensors[name].is_constant)
