"""What a firmware showed on an emulated chip, beside what its plan promises.

Inferences and the firmware's own run enter; a `ChipRun` leaves, plain and frozen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from edgekit.emulate.chip.chip import Ending
from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.chip.inference import Inference
from edgekit.emulate.firmware import sizes
from edgekit.graph.cost import graph_cost


@dataclass(frozen=True)
class LayerCount:
    """A layer's share.

    Attributes:
        kernel: the C functions that compute it; empty for a view.
        predicted: instructions by the cost table; None if it does not know the kernel.
    """

    index: int
    name: str
    op: str
    kernel: str
    macs: int
    instructions: int
    predicted: int | None


@dataclass(frozen=True)
class ChipRun:
    """What a firmware took.

    Attributes:
        board, core: where.
        emulator: who ran it.
        compiler, flags: who made it.
        instructions: of an inference.
        macs: multiply-accumulates of the network as it was given.
        macs_computed: of those, what the program does after folding.
        arena_bytes: as planned.
        arena_used_bytes: of those, up to the last one written; a write beyond is a fault.
        code_bytes: of flash, for everything but weights and golden vectors.
        weights_bytes: of flash, for weights and the layers' parameters.
        stack_bytes: at its deepest during an inference, with what main takes.
        stack_reserved_bytes: set apart for it.
        layers: one a node of the graph.
        ending: how the firmware's run from reset ended; None if it was not run so.
    """

    board: str
    core: str
    emulator: str
    compiler: str
    flags: str
    instructions: int
    macs: int
    macs_computed: int
    arena_bytes: int
    arena_used_bytes: int
    code_bytes: int
    weights_bytes: int
    stack_bytes: int
    stack_reserved_bytes: int
    layers: tuple[LayerCount, ...]
    ending: Ending | None = None

    @property
    def faults(self) -> Iterator[str]:
        """A sentence for everything that had to hold and does not."""
        if self.ending is not None and self.ending.exit_code:
            said = " ".join(self.ending.uart.split())
            yield f"The firmware ended with code {self.ending.exit_code} and said: {said}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def chip_run(
    firmware: Firmware,
    emulator: str,
    inferences: list[Inference],
    ending: Ending | None = None,
) -> ChipRun:
    """Sum up.

    Args:
        firmware: that ran.
        emulator: its name and version.
        inferences: instructions are those of the first one, memory the most of any.
        ending: of its run from reset.
    """
    program = firmware.program
    costs, taken = graph_cost(program.graph), sizes(firmware.image.elf)
    first = inferences[0]
    return ChipRun(
        board=firmware.board.id,
        core=firmware.board.core,
        emulator=emulator,
        compiler=firmware.toolchain.title,
        flags=" ".join(firmware.toolchain.flags),
        instructions=first.instructions,
        macs=graph_cost(firmware.model).macs,
        macs_computed=costs.macs,
        arena_bytes=firmware.memory.arena_bytes,
        arena_used_bytes=max(one.arena_bytes for one in inferences),
        code_bytes=taken.code_bytes,
        weights_bytes=taken.weights_bytes,
        stack_bytes=max(one.stack_bytes for one in inferences),
        stack_reserved_bytes=taken.stack_bytes,
        layers=tuple(
            LayerCount(
                index,
                step.node.name,
                step.node.op.tflite_name,
                ", ".join(dict.fromkeys(kernel.name for kernel in step.kernels)),
                cost.macs,
                instructions,
                step.estimate.instructions if step.estimate else None,
            )
            for index, (step, cost, instructions) in enumerate(
                zip(program.steps, costs.nodes, first.layers, strict=True)
            )
        ),
        ending=ending,
    )
