"""The program: a graph as calls of C kernels, with every constant as the kernel reads it.

One `Program` is what the memory planner, the C writer and the instruction benchmark read. Nothing
here is text yet: parameters are numbers and arrays under the names of the kernel's struct, so that
a test can look at them. A kernel's struct and meaning stand in `firmware_templates/runtime/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgekit.graph.ir import Array, Graph, Node


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
    """

    node: Node
    kernels: tuple[Kernel, ...]
    estimate: Estimate | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """A graph and one step a node, in execution order."""

    graph: Graph
    steps: tuple[Step, ...]

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The kernels that are called, each once, sorted."""
        return tuple(sorted({kernel.name for step in self.steps for kernel in step.kernels}))

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
        kernels = (kernel for step in self.steps for kernel in step.kernels)
        return sum(constant.data.nbytes for kernel in kernels for constant in kernel.constants)

    def activations(self, node: Node) -> tuple[str, ...]:
        """The activations that a node reads."""
        return tuple(name for name in node.inputs if not self.graph.tensors[name].is_constant)
