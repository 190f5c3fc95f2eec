"""A firmware on unicorn: a Cortex-M with exactly the memory of a board.

What is not the board's flash or RAM, a peripheral or the core's own registers is not there: an
access faults, as does a write to flash, and the fault says which instruction of which function did
it. No interrupt ever comes; no cycles are modelled.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from edgekit import extras
from edgekit.emulate.chip.chip import BOOT_SECONDS, EXIT, ChipFaultError, Ending, Registers
from edgekit.emulate.chip.image import Image, Symbol
from edgekit.emulate.chip.peripherals import Peripherals
from edgekit.emulate.chip.tally import Arrival, Tally, attach
from edgekit.errors import UnsupportedError
from edgekit.plan.boards import Board

PAINT = 0xA5  # what RAM holds before anything is written
_PAGE = 0x1000
# Peripherals, RP2's single-cycle ones, the core's own: the Armv7-M memory map (DDI 0403, B3.1).
_REGISTERS = ((0x4000_0000, 0x2000_0000), (0xD000_0000, 0x1000_0000), (0xE000_0000, 0x10_0000))
_MODELS = {
    "cortex-m0plus": "UC_CPU_ARM_CORTEX_M0",  # the same instructions
    "cortex-m3": "UC_CPU_ARM_CORTEX_M3",
    "cortex-m4": "UC_CPU_ARM_CORTEX_M4",
    "cortex-m7": "UC_CPU_ARM_CORTEX_M7",
    "cortex-m33": "UC_CPU_ARM_CORTEX_M33",
}
CORES = tuple(_MODELS)
_SEMIHOSTING = b"\xab\xbe"  # BKPT 0xAB
_NEVER = 0xFFFF_FFFE
_RUN_SECONDS = 120.0
_SLICE_SECONDS = 0.2  # after which a firmware that never ends is looked at


@dataclass
class _Stop:
    """Why the engine stopped."""

    reason: str = ""
    address: int = 0


class UnicornChip:
    """See `chip.Chip`.

    Args:
        board: whose core and memory.
        image: the firmware.
        watched: the function whose calls are counted.

    Raises:
        MissingToolError: unicorn is not installed.
        UnsupportedError: it does not emulate the core.
    """

    def __init__(self, board: Board, image: Image, watched: Symbol) -> None:
        extras.require("c")
        import unicorn
        from unicorn import arm_const

        if board.core not in _MODELS:
            raise UnsupportedError(
                f"unicorn has no {board.core}.", hint="QEMU has: --engine qemu, for some boards."
            )
        self.title = f"unicorn {unicorn.__version__}"
        self._image = image
        self._watched = watched
        calls_debugger = board.emulator is not None and board.emulator.semihosting
        self._exit = None if calls_debugger else image.find(EXIT)
        self._unicorn = unicorn
        self._const = arm_const
        self._engine = unicorn.Uc(
            unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        )
        self._engine.ctl_set_cpu_model(getattr(arm_const, _MODELS[board.core]))
        self._peripherals = Peripherals(board.uart)
        self._stop = _Stop()
        self._said = bytearray()  # by semihosting
        self._hooked: dict[int, Any] = {}
        self._resumed_at = -1
        self._map(board)
        self._load()
        self._watch_faults()
        self._tally: Tally = attach(
            self._engine, watched.address, watched.address + watched.size_bytes
        )
        self._registers: Any = None

    def boot(self, seconds: float = BOOT_SECONDS) -> Ending:
        """See `Chip`."""
        self._reset()
        self._hook({self._exit.address} if self._exit else ())
        left = seconds
        while left > 0:
            self._run(_SLICE_SECONDS)
            if self._stop.reason == "breakpoint":
                ending = self._semihosting()
                if ending is not None:
                    return ending
            elif self._stop.reason == "stop":
                return Ending("end", self._register("R0"), self._written())
            elif self._is_asleep():
                return Ending("halt", None, self._written())
            else:
                left -= _SLICE_SECONDS
        raise self._fault(f"did not end within {seconds:g} s")

    def reach(self) -> Registers:
        """See `Chip`."""
        self._reset()
        self._hook({self._watched.address})
        self._run(BOOT_SECONDS)
        if self._stop.reason != "stop":
            raise self._fault(f"ended before it came to {self._watched.name}")
        self._registers = self._engine.context_save()
        return Registers(self._register("R0"), self._register("SP"), self._register("LR"))

    def rewind(self) -> None:
        """See `Chip`."""
        self._engine.context_restore(self._registers)
        self._tally.restart()

    def resume(self, stops: Collection[int]) -> int:
        """See `Chip`."""
        self._hook(stops)
        self._run(_RUN_SECONDS)
        if self._stop.reason != "stop":
            raise self._fault(f"did not come back within {_RUN_SECONDS:g} s")
        self._tally.take_back()
        return self._stop.address

    def read(self, address: int, size_bytes: int) -> bytes:
        """See `Chip`."""
        return bytes(self._engine.mem_read(address, size_bytes))

    def write(self, address: int, data: bytes) -> None:
        """See `Chip`."""
        self._engine.mem_write(address, data)

    def arrivals(self) -> tuple[list[Arrival], int]:
        """See `Chip`."""
        return self._tally.arrivals, self._tally.instructions

    def _map(self, board: Board) -> None:
        unicorn = self._unicorn
        for region in board.memory:
            if region.base is None:
                continue
            rights = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC
            if region.kind == "ram":
                rights |= unicorn.UC_PROT_WRITE
            self._engine.mem_map(region.base, -(-region.bytes // _PAGE) * _PAGE, rights)
        for base, size in _REGISTERS:
            self._engine.mmio_map(base, size, self._reading(base), None, self._writing(base), None)
        for region in board.memory:
            if region.base is not None and region.kind == "ram":
                self._engine.mem_write(region.base, bytes([PAINT]) * region.bytes)

    def _reading(self, base: int) -> Callable[[Any, int, int, object], int]:
        return lambda engine, offset, size, user: self._peripherals.read(base + offset)

    def _writing(self, base: int) -> Callable[[Any, int, int, int, object], None]:
        return lambda engine, offset, size, value, user: self._peripherals.write(
            base + offset, value
        )

    def _load(self) -> None:
        for piece in self._image.pieces:
            if piece.data:
                try:
                    self._engine.mem_write(piece.load_address, piece.data)
                except self._unicorn.UcError:
                    raise ChipFaultError(
                        f"Section {piece.name} of the firmware ({len(piece.data):,} bytes at "
                        f"{piece.load_address:#x}) is not in the board's memory."
                    ) from None

    def _watch_faults(self) -> None:
        unicorn = self._unicorn

        def invalid(
            engine: Any, access: int, address: int, size: int, value: int, user: object
        ) -> bool:
            self._stop = _Stop(f"{_ACCESS.get(access, 'access')} of {address:#010x}", address)
            return False

        def interrupt(engine: Any, number: int, user: object) -> None:
            at = self._register("PC")
            is_call = engine.mem_read(at, len(_SEMIHOSTING)) == _SEMIHOSTING
            self._stop = _Stop("breakpoint" if is_call else f"exception {number}", at)
            engine.emu_stop()

        self._engine.hook_add(unicorn.UC_HOOK_MEM_INVALID, invalid)
        self._engine.hook_add(unicorn.UC_HOOK_INTR, interrupt)

    def _reset(self) -> None:
        stack, start = struct.unpack("<II", self.read(self._image.vectors, 8))
        self._engine.reg_write(self._const.UC_ARM_REG_SP, stack)
        self._engine.reg_write(self._const.UC_ARM_REG_LR, 0xFFFF_FFFF)
        self._engine.reg_write(self._const.UC_ARM_REG_PC, start)

    def _hook(self, stops: Collection[int]) -> None:
        """Have the engine stop before the instructions at these addresses."""
        wanted = set(stops)
        if wanted == set(self._hooked):
            return
        for address in set(self._hooked) - wanted:
            self._engine.hook_del(self._hooked.pop(address))
        for address in wanted - set(self._hooked):
            self._hooked[address] = self._engine.hook_add(
                self._unicorn.UC_HOOK_CODE, self._arrived, begin=address, end=address
            )
        self._engine.ctl_flush_tb()  # code that is translated already knows nothing of them

    def _arrived(self, engine: Any, address: int, size: int, user: object) -> None:
        if address == self._resumed_at:
            self._resumed_at = -1
            return
        self._stop = _Stop("stop", address)
        engine.emu_stop()

    def _run(self, seconds: float) -> None:
        """Go on until something stops the engine, or the time is over.

        Raises:
            ChipFaultError: an access or instruction that the chip refuses.
        """
        self._stop = _Stop()
        self._resumed_at = self._register("PC")
        try:
            self._engine.emu_start(self._resumed_at | 1, _NEVER, timeout=int(seconds * 1e6))
        except self._unicorn.UcError as error:
            raise self._fault(f"faulted: {self._stop.reason or error}") from None
        if self._stop.reason not in ("", "stop", "breakpoint"):
            raise self._fault(f"faulted: {self._stop.reason}")

    def _is_asleep(self) -> bool:
        """Whether it has come to a loop that does nothing, or sleeps: WFI, WFE, `b .`."""
        at = self._register("PC")
        near = self.read(at - 2, 4)
        return near[:2] in _SLEEPS or near[2:] in _SLEEPS or near[2:] == _LOOP

    def _semihosting(self) -> Ending | None:
        """Do what the firmware asks for; the ending if that is to exit."""
        operation, argument = self._register("R0"), self._register("R1")
        if operation == _SYS_EXIT:
            code = 0 if argument == _APPLICATION_EXIT else 1
            return Ending("exit", code, self._written())
        if operation == _SYS_EXIT_EXTENDED:
            reason, code = struct.unpack("<Ii", self.read(argument, 8))
            return Ending("exit", code if reason == _APPLICATION_EXIT else 1, self._written())
        if operation == _SYS_WRITE0:
            while (byte := self.read(argument, 1)) != b"\0":
                self._said += byte
                argument += 1
        elif operation == _SYS_WRITEC:
            self._said += self.read(argument, 1)
        else:
            raise self._fault(f"asks its debugger for operation {operation:#x}")
        self._engine.reg_write(self._const.UC_ARM_REG_PC, (self._stop.address + 2) | 1)
        return None

    def _written(self) -> str:
        return bytes(self._peripherals.sent + self._said).decode(errors="replace")

    def _register(self, name: str) -> int:
        return int(self._engine.reg_read(getattr(self._const, f"UC_ARM_REG_{name}")))

    def _fault(self, what: str) -> ChipFaultError:
        at = self._register("PC")
        where = f"at {at:#010x} ({self._image.name_of(at) or 'outside its code'})"
        return ChipFaultError(f"The firmware {what}, {where}.", calls=len(self._tally.arrivals))


_ACCESS = {19: "read", 20: "write", 21: "fetch", 22: "write", 23: "read", 24: "fetch"}
_SLEEPS = (b"\x30\xbf", b"\x20\xbf")
_LOOP = b"\xfe\xe7"
_SYS_WRITEC, _SYS_WRITE0, _SYS_EXIT, _SYS_EXIT_EXTENDED = 0x03, 0x04, 0x18, 0x20
_APPLICATION_EXIT = 0x2_0026
