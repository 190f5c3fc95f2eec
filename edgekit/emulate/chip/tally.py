"""Exact instruction counts on unicorn: of a function, and at each return from what it calls.

Unicorn tells when a block of code begins; the number of instructions in a block follows from its
bytes: in Thumb code a halfword from 0xE800 on begins an instruction of four bytes (Arm DDI 0403,
A5.1). An instruction in an IT block counts whether or not its condition holds, as it takes its
cycle either way and as QEMU counts. A small C function, compiled for this computer, does the
counting; where there is no compiler Python does, fifteen times slower, with the same result.
"""

from __future__ import annotations

import ctypes
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from edgekit.emulate.toolchain import for_host
from edgekit.errors import EdgekitError
from edgekit.resources import templates_dir

_SOURCE = "host/count_blocks.c"
_KNOWN = _RETURNS = 4096  # as in the source
_LONG = 0xE800


@dataclass(frozen=True)
class Arrival:
    """Where a function went on after a call, and the instructions executed before."""

    address: int
    instructions: int


class Tally(Protocol):
    """Counts from when it is attached."""

    def restart(self) -> None:
        """Count from 0; the function is about to be entered."""

    def take_back(self) -> None:
        """Forget the last block: it was announced, and the emulation stopped before it."""

    @property
    def instructions(self) -> int:
        """Executed so far."""

    @property
    def arrivals(self) -> list[Arrival]:
        """Each return into the function, in order."""


def attach(engine: Any, first: int, end: int) -> Tally:
    """Count what an engine executes.

    Args:
        engine: a `unicorn.Uc`.
        first, end: of the watched function.
    """
    try:
        library = _library()
        from unicorn.unicorn_py3.unicorn import uclib  # where the package keeps its C functions
    except (EdgekitError, OSError, ImportError):
        return PythonTally(engine, first, end)
    return NativeTally(engine, first, end, library, uclib)


@dataclass
class PythonTally:
    """Counts in Python."""

    engine: Any
    first: int
    end: int
    arrivals: list[Arrival] = field(default_factory=list)
    instructions: int = 0
    _inside: bool = True
    _before: tuple[int, bool, int] = (0, True, 0)
    _known: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from unicorn.unicorn_const import UC_HOOK_BLOCK

        self.engine.hook_add(UC_HOOK_BLOCK, self._on_block)

    def restart(self) -> None:
        """See `Tally`."""
        self.instructions, self._inside = 0, True
        self.arrivals.clear()

    def take_back(self) -> None:
        """See `Tally`."""
        self.instructions, self._inside, kept = self._before
        del self.arrivals[kept:]

    def _on_block(self, engine: Any, address: int, size: int, user: object) -> None:
        self._before = self.instructions, self._inside, len(self.arrivals)
        inside = self.first <= address < self.end
        if inside and not self._inside:
            self.arrivals.append(Arrival(address, self.instructions))
        self._inside = inside
        block = address, size
        if block not in self._known:
            self._known[block] = instructions_in(engine.mem_read(address, size))
        self.instructions += self._known[block]


def instructions_in(code: bytes) -> int:
    """How many instructions a piece of Thumb code holds."""
    found = at = 0
    while at < len(code):
        at += 4 if code[at + 1] >= _LONG >> 8 else 2
        found += 1
    return found


class _Count(ctypes.Structure):
    _fields_ = (
        ("instructions", ctypes.c_uint64),
        ("is_inside", ctypes.c_uint32),
        ("returns", ctypes.c_uint32),
    )


class _Return(ctypes.Structure):
    _fields_ = (("address", ctypes.c_uint64), ("instructions", ctypes.c_uint64))


class _Block(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint64),
        ("size", ctypes.c_uint32),
        ("instructions", ctypes.c_uint32),
    )


class _State(ctypes.Structure):
    _fields_ = (
        ("now", _Count),
        ("before", _Count),
        ("first", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
        ("returned", _Return * _RETURNS),
        ("read", ctypes.c_void_p),
        ("known", _Block * _KNOWN),
    )


class NativeTally:
    """Counts in C."""

    def __init__(self, engine: Any, first: int, end: int, library: ctypes.CDLL, uc: Any) -> None:
        from unicorn.unicorn_const import UC_HOOK_BLOCK

        self._state = _State(
            first=first, end=end, read=ctypes.cast(uc.uc_mem_read, ctypes.c_void_p)
        )
        self._library = library  # must outlive the hook
        self.restart()
        everywhere = ctypes.c_uint64(1), ctypes.c_uint64(0)
        uc.uc_hook_add(
            engine._uch,
            ctypes.byref(ctypes.c_size_t()),
            ctypes.c_int(UC_HOOK_BLOCK),
            ctypes.cast(library.on_block, ctypes.c_void_p),
            ctypes.byref(self._state),
            *everywhere,
        )

    def restart(self) -> None:
        """See `Tally`."""
        self._state.now = _Count(0, 1, 0)

    def take_back(self) -> None:
        """See `Tally`."""
        self._state.now = self._state.before

    @property
    def instructions(self) -> int:
        """See `Tally`."""
        return int(self._state.now.instructions)

    @property
    def arrivals(self) -> list[Arrival]:
        """See `Tally`."""
        returned = self._state.returned[: self._state.now.returns]
        return [Arrival(one.address, one.instructions) for one in returned]


@cache
def _library() -> ctypes.CDLL:
    """The compiled counter, for as long as this process lives."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "count_blocks.so"
        shared = for_host().with_flags("-shared", "-fPIC")
        shared.build([templates_dir() / _SOURCE], made)
        return ctypes.CDLL(str(made))
