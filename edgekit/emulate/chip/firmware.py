"""A firmware with all that is known of it, and the emulator that runs it.

What a board's program was made from enters; a `Firmware` leaves, and for it a `Chip`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edgekit.emulate.chip import qemu_chip, unicorn_chip
from edgekit.emulate.chip.chip import Chip
from edgekit.emulate.chip.image import Image
from edgekit.emulate.toolchain import Toolchain
from edgekit.errors import UnsupportedError
from edgekit.graph.ir import Graph
from edgekit.lower.program import Program
from edgekit.plan.boards import Board
from edgekit.plan.static_memory import StaticMemory

PREFIX = "ek_model"
EngineName = Literal["unicorn", "qemu"]


@dataclass(frozen=True, eq=False)
class Firmware:
    """A compiled C program for a board.

    Attributes:
        board: that it is for.
        model: the network whose outputs it must give.
        graph: that it computes, layer by layer: the same, or without channels that do not matter.
        program, memory: what it computes, and where.
        sources: the C files of the network and its kernels, by name, without the board's.
        image: the linked ELF.
        toolchain: that made it.
    """

    board: Board
    model: Graph
    graph: Graph
    program: Program
    memory: StaticMemory
    sources: Mapping[str, bytes]
    image: Image
    toolchain: Toolchain


def chip_for(firmware: Firmware, engine: EngineName | None = None) -> Chip:
    """A chip with the firmware in it.

    Args:
        firmware: to run.
        engine: who emulates; None takes unicorn, which has exactly the board's memory, and QEMU for
            a core that unicorn lacks.

    Raises:
        MissingToolError: the engine is not installed.
        UnsupportedError: no engine has the core or board.
    """
    board = firmware.board
    chosen = engine or default_engine(board)
    if chosen is None:
        raise UnsupportedError(
            f"Nothing here emulates the {board.core} of the board {board.id}.",
            hint=f"Emulated are {', '.join(unicorn_chip.CORES)}, and the boards QEMU has.",
        )
    watched = firmware.image.symbol(f"{PREFIX}_invoke")
    if chosen == "unicorn":
        return unicorn_chip.UnicornChip(board, firmware.image, watched)
    return qemu_chip.QemuChip(board, firmware.image, watched)


def default_engine(board: Board) -> EngineName | None:
    """Who emulates a board if nobody is named; None if nobody can."""
    if board.core in unicorn_chip.CORES:
        return "unicorn"
    return "qemu" if board.emulator is not None else None
