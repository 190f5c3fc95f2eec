"""What every emulator of a microcontroller offers, and how a firmware's run may end.

A board and an `Image` have entered when a `Chip` is made; bytes of its memory, stops and counts
leave. One function is watched, and its first call run again and again: `reach` goes from reset to
its first instruction, by the firmware's own start-up code; `rewind` sets the registers to that
moment.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from edgekit.emulate.chip.tally import Arrival
from edgekit.errors import VerificationError

BOOT_SECONDS = 60.0
FAULT = "ek_fault"  # a bundle's handler of all faults
EXIT = "ek_exit"  # where a bundle's firmware ends, with its exit code as argument


class ChipFaultError(VerificationError):
    """The firmware did what the chip does not allow, or never came to an end.

    Args:
        message: what happened, and at which instruction.
        calls: how many of the watched function's calls were done.
    """

    def __init__(self, message: str, *, calls: int = 0) -> None:
        super().__init__(message, hint="Please report it with the model and the board.")
        self.calls = calls


@dataclass(frozen=True)
class Registers:
    """The registers a call begins with: its first argument, its stack, where it returns to."""

    r0: int
    sp: int
    lr: int


@dataclass(frozen=True)
class Ending:
    """How a firmware's run from reset ended.

    Attributes:
        how: "exit" by semihosting, "end" at its own `EXIT`, "halt" in a sleep or an empty loop.
        exit_code: what it ended with; None for a halt.
        uart: what it wrote there, and by semihosting.
    """

    how: str
    exit_code: int | None
    uart: str


class Chip(Protocol):
    """A microcontroller with a firmware in its flash.

    Attributes:
        title: of the emulator and its version.
    """

    title: str

    def boot(self, seconds: float = BOOT_SECONDS) -> Ending:
        """Run from reset to the end.

        Raises:
            ChipFaultError: it faulted, or did not end in time.
        """

    def reach(self) -> Registers:
        """Run from reset until the watched function is about to be entered for the first time.

        Raises:
            ChipFaultError: it faulted, ended, or did not come there in time.
        """

    def rewind(self) -> None:
        """Set the registers to what they were when `reach` ended; the memory stays."""

    def resume(self, stops: Collection[int]) -> int:
        """Run until one of these addresses is about to be executed; returns which.

        Raises:
            ChipFaultError: it faulted, or did not come there in time.
        """

    def read(self, address: int, size_bytes: int) -> bytes:
        """Read memory."""

    def write(self, address: int, data: bytes) -> None:
        """Write memory."""

    def arrivals(self) -> tuple[list[Arrival], int]:
        """Since `rewind`, when the function was left: each return into it, and all instructions.

        To be asked last: the chip may go on by an instruction.
        """
