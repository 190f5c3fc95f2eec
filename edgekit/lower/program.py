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
    """One call of a kernel: `function(&parameters, inputs..., outputs..., [scratch])`.

    Attributes:
        function: of the runtime, as "ek_conv_s8".
        header: that declares it, as "ek_conv.h"; the source has the same stem.
        struct: the type of its parameters, as "ek_conv".
        parameters: its fields by name; None is a null pointer, a Constant a pointer to it.
        scratch_bytes: that it needs while it runs, aligned to 16; 0 passes a null pointer, None
            is a kernel that takes no scratch.
        overwrites: positions among the node's activations whose memory the first output may take,
            because the kernel reads an element for the last time before it writes there.
    """

    function: str
    header: str
    struct: str
    parameters: Mapping[str, Value]
    scratch_bytes: int | None = None
    overwrites: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Step:
    """A node and the kernel that computes it.

    Attributes:
        operands: what the call passes as inputs, in order: activations by tensor name, constants.
        outputs: tensor names.
        kernel: None where nothing is to be done: the output is the input's bytes (a view).
    """

    node: Node
    operands: tuple[str | Constant, ...]
    outputs: tuple[str, ...]
    kernel: Kernel | None

    @property
    def activations(self) -> tuple[str, ...]:
        """The operands that are tensors."""
        return tuple(operand for operand in self.operands if isinstance(operand, str))


@dataclass(frozen=True, eq=False)
class Program:
    """A graph and one step a node, in execution order."""

    graph: Graph
    steps: tuple[Step, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """Those of all kernels, each once, sorted."""
        return tuple(sorted({step.kernel.header for step in self.steps if step.kernel}))
