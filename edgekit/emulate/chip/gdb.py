"""A client of GDB's remote protocol, as far as it takes to steer QEMU.

A connected socket enters; memory, registers and stops leave. The protocol is that of GDB's manual,
appendix E: packets `$data#checksum`, each acknowledged.
"""

from __future__ import annotations

import socket

CHUNK_BYTES = 1024  # of memory in a packet; QEMU's packets hold 4,096 characters
_PC = 15


class GoneError(Exception):
    """The other side has ended."""


class Gdb:
    """A session; the target is stopped whenever a function is called."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = b""

    def read(self, address: int, size_bytes: int) -> bytes:
        """Read memory."""
        found = b""
        while len(found) < size_bytes:
            part = min(CHUNK_BYTES, size_bytes - len(found))
            found += bytes.fromhex(self._ask(f"m{address + len(found):x},{part:x}"))
        return found

    def write(self, address: int, data: bytes) -> None:
        """Write memory."""
        for start in range(0, len(data), CHUNK_BYTES):
            part = data[start : start + CHUNK_BYTES]
            self._ask(f"M{address + start:x},{len(part):x}:{part.hex()}")

    def registers(self) -> str:
        """All of them, as the target encodes them."""
        return self._ask("g")

    def set_registers(self, encoded: str) -> None:
        """Set all of them."""
        self._ask(f"G{encoded}")

    @staticmethod
    def register(encoded: str, number: int) -> int:
        """Register r0 to r15 of `registers`."""
        return int.from_bytes(bytes.fromhex(encoded[8 * number : 8 * number + 8]), "little")

    def resume(self, stops: set[int], seconds: float) -> int:
        """Run until one of these addresses is about to be executed; returns the address stopped at.

        Raises:
            TimeoutError: none of them was, in that time.
            GoneError: the target ended.
        """
        for address in stops:
            self._ask(f"Z0,{address:x},2")
        self._socket.settimeout(seconds)
        self._ask("c")
        self._socket.settimeout(None)
        for address in stops:
            self._ask(f"z0,{address:x},2")
        return self.register(self.registers(), _PC)

    def step(self) -> None:
        """Execute one instruction."""
        self._ask("s")

    def _ask(self, packet: str) -> str:
        checksum = sum(packet.encode()) & 0xFF
        try:
            self._socket.sendall(f"${packet}#{checksum:02x}".encode())
            return self._answer()
        except ConnectionError as error:
            raise GoneError from error

    def _answer(self) -> str:
        while True:
            start, end = self._received.find(b"$"), self._received.find(b"#")
            if 0 <= start < end and len(self._received) >= end + 3:
                break
            more = self._socket.recv(1 << 16)
            if not more:
                raise GoneError
            self._received += more
        found = self._received[start + 1 : end].decode("latin-1")
        self._received = self._received[end + 3 :]
        self._socket.sendall(b"+")
        if found.startswith(("W", "X")):  # exited, killed
            raise GoneError
        return found
