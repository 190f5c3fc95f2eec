"""The registers outside of memory, as far as a firmware without an SDK touches them.

Reads and writes enter; what was sent by the UART leaves. A register that is not modelled keeps what
is written to it. Code that waits for one (for a clock to be stable) sees it change: a register that
is read again and again shows all bits set, then none, so that a wait for either ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

_PATIENCE = 8  # reads of the same register before it changes
_MASK = 0xFFFF_FFFF


@dataclass(frozen=True)
class UartKind:
    """A family of UARTs.

    Attributes:
        data: offset of the register that sends a byte.
        status: what registers show, by offset: ready to send, nothing under way.
    """

    data: int
    status: Mapping[int, int]


class Port(Protocol):
    """A board's UART: its kind, and the address of its first register."""

    @property
    def kind(self) -> str:
        """One of `UARTS`."""

    @property
    def base(self) -> int:
        """Where its registers begin."""


# By the kinds that boards name.
UARTS: Mapping[str, UartKind] = {
    "cmsdk": UartKind(0x00, {0x04: 0}),  # STATE: the buffer is not full
    "stm32f4": UartKind(0x04, {0x00: 0xC0}),  # SR: TXE, TC
    "stm32h7": UartKind(0x28, {0x1C: 0x60_00C0}),  # ISR: TEACK, REACK, TXE, TC
    "nrf": UartKind(0x51C, {0x11C: 1}),  # EVENTS_TXDRDY
    "pl011": UartKind(0x00, {0x18: 0x90}),  # FR: TXFE, RXFE
}


class Peripherals:
    """All registers of a chip.

    Args:
        port: the UART that the firmware prints to.
    """

    def __init__(self, port: Port | None) -> None:
        self.sent = bytearray()
        self._uart = UARTS[port.kind] if port else None
        self._base = port.base if port else 0
        self._values: dict[int, int] = {}
        self._last, self._reads = -1, 0

    def read(self, address: int) -> int:
        """What a register shows."""
        if self._uart and address - self._base in self._uart.status:
            return self._uart.status[address - self._base]
        self._reads = self._reads + 1 if address == self._last else 0
        self._last = address
        if self._reads < _PATIENCE:
            return self._values.get(address, 0)
        return _MASK if self._reads // _PATIENCE % 2 else 0

    def write(self, address: int, value: int) -> None:
        """Set a register; the UART's data register sends."""
        self._last = -1
        if self._uart and address == self._base + self._uart.data:
            self.sent.append(value & 0xFF)
        else:
            self._values[address] = value & _MASK
