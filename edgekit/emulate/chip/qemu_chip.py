"""A firmware on QEMU's model of a whole board, with its UART, where QEMU is installed.

QEMU runs in a process of its own and is steered through its GDB server. Instructions are counted by
a small plugin that is compiled for this computer when it is needed.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import tempfile
import time
import weakref
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from edgekit.emulate.chip.chip import BOOT_SECONDS, EXIT, FAULT, ChipFaultError, Ending, Registers
from edgekit.emulate.chip.gdb import Gdb, GoneError
from edgekit.emulate.chip.image import Image, Symbol
from edgekit.emulate.chip.tally import Arrival
from edgekit.emulate.toolchain import for_host
from edgekit.errors import MissingToolError, UnsupportedError
from edgekit.plan.boards import Board
from edgekit.resources import templates_dir

PROGRAM = "qemu-system-arm"
_SOURCE = "host/count_plugin.c"
_CURE = "On Debian and Ubuntu: apt-get install qemu-system-arm. --engine unicorn needs only pip."
_RUN_SECONDS = 300.0
_STARTING_SECONDS = 20.0
_SAID_CHARACTERS = 300
_R0, _SP, _LR, _PC = 0, 13, 14, 15


class QemuChip:
    """See `chip.Chip`.

    Args:
        board: its `emulator.qemu` is the machine.
        image: the firmware.
        watched: the function whose calls are counted.

    Raises:
        MissingToolError: QEMU is not installed.
        UnsupportedError: it has no model of the board.
    """

    def __init__(self, board: Board, image: Image, watched: Symbol) -> None:
        if board.emulator is None:
            raise UnsupportedError(f"QEMU has no model of the board {board.id}.")
        self._program = _require()
        self.title = _title(self._program)
        self._machine = board.emulator.qemu
        self._semihosting = board.emulator.semihosting
        self._image = image
        self._watched = watched
        self._closing = ExitStack()  # QEMU and its folder go when nobody holds the chip any more
        weakref.finalize(self, self._closing.close)
        self._running = self._closing.enter_context(ExitStack())
        folder = self._closing.enter_context(tempfile.TemporaryDirectory(prefix="edgekit-"))
        self._folder = Path(folder)
        self._firmware = self._folder / "firmware.elf"
        self._firmware.write_bytes(image.elf)
        self._begun = 0  # lines of the count file before `rewind`

    def boot(self, seconds: float = BOOT_SECONDS) -> Ending:
        """See `Chip`."""
        uart, end = self._folder / "uart", self._image.find(EXIT)
        if self._semihosting or end is None:
            return self._boot_to_exit(uart, seconds)
        registers = self._start_and_stop(end)
        return Ending("end", Gdb.register(registers, _R0), _text(uart))

    def _boot_to_exit(self, uart: Path, seconds: float) -> Ending:
        said = self._folder / "said"
        with said.open("wb") as output:
            try:
                done = subprocess.run(
                    self._command(uart),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=seconds,
                )
            except subprocess.TimeoutExpired:
                return Ending("halt", None, _text(uart))
        if done.returncode < 0:
            raise ChipFaultError(f"The firmware faulted: {_text(said)[-_SAID_CHARACTERS:]}")
        return Ending("exit", done.returncode, _text(uart))

    def reach(self) -> Registers:
        """See `Chip`."""
        first = self._start_and_stop(
            self._watched
        )  # where the function returns to is known only then
        self._leaves_to = Gdb.register(first, _LR) & ~1
        self._start_and_stop(self._watched, self._plugin())
        self._registers = self._gdb.registers()
        return Registers(*(Gdb.register(self._registers, r) for r in (_R0, _SP, _LR)))

    def rewind(self) -> None:
        """See `Chip`."""
        self._gdb.set_registers(self._registers)
        self._begun = len(self._lines())

    def resume(self, stops: Collection[int]) -> int:
        """See `Chip`."""
        fault = self._image.find(FAULT)
        try:
            stopped = self._gdb.resume({*stops, *([fault.address] if fault else [])}, _RUN_SECONDS)
        except GoneError:
            said = _text(self._folder / "said") or _text(self._folder / "uart")
            what = f"faulted and said: {' '.join(said.split())[-_SAID_CHARACTERS:]}"
        except TimeoutError:
            what = f"did not come back within {_RUN_SECONDS:g} s"
        else:
            if fault is None or stopped != fault.address:
                return stopped
            what = f"faulted, at {self._faulted_at()}"
        raise ChipFaultError(f"The firmware {what}.", calls=max(0, len(self._counted()) - 1))

    def _faulted_at(self) -> str:
        """The instruction, from the frame that the core pushed (Arm DDI 0403, B1.5.6)."""
        stack = Gdb.register(self._gdb.registers(), _SP)
        at = int.from_bytes(self._gdb.read(stack + 24, 4), "little")
        return f"{at:#010x} ({self._image.name_of(at) or 'outside its code'})"

    def read(self, address: int, size_bytes: int) -> bytes:
        """See `Chip`."""
        return self._gdb.read(address, size_bytes)

    def write(self, address: int, data: bytes) -> None:
        """See `Chip`."""
        self._gdb.write(address, data)

    def arrivals(self) -> tuple[list[Arrival], int]:
        """See `Chip`. Executes one more instruction if the function has just been left, as the
        plugin hears of an instruction when it is executed.
        """
        if self._counted()[-1].address != self._leaves_to:
            self._gdb.step()
        entered, *returned = self._counted()
        since = [Arrival(one.address, one.instructions - entered.instructions) for one in returned]
        return since[:-1], since[-1].instructions

    def _command(self, uart: Path) -> list[str]:
        return [
            self._program, "-machine", self._machine, "-display", "none", "-monitor", "none",
            "-serial", f"file:{uart}", "-semihosting-config", "enable=on,target=native",
            "-kernel", str(self._firmware),
        ]  # fmt: skip

    def _start_and_stop(self, where: Symbol, plugin: Path | None = None) -> str:
        """Start QEMU anew and stop at a function; the registers there."""
        self._running.close()
        door = self._folder / "gdb"
        door.unlink(missing_ok=True)
        command = [
            *self._command(self._folder / "uart"), "-S",
            "-chardev", f"socket,id=gdb,path={door},server=on,wait=off", "-gdb", "chardev:gdb",
        ]  # fmt: skip
        if plugin is not None:
            first, end = self._watched.address, self._watched.address + self._watched.size_bytes
            span = f"first={first},end={end},leave={self._leaves_to}"
            command += ["-plugin", f"{plugin},{span},out={self._folder / 'counts'}"]
        with (self._folder / "said").open("wb") as said:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
            )
        self._running.callback(_end, child)
        self._gdb = Gdb(self._connect(door, child))
        stopped = self.resume({where.address})
        if stopped != where.address:
            raise ChipFaultError(f"The firmware stopped at {self._image.name_of(stopped)}.")
        return self._gdb.registers()

    def _connect(self, door: Path, child: subprocess.Popen[bytes]) -> socket.socket:
        connection = self._running.enter_context(socket.socket(socket.AF_UNIX))
        end = time.monotonic() + _STARTING_SECONDS
        while True:
            try:
                connection.connect(str(door))
            except OSError:
                if child.poll() is not None or time.monotonic() > end:
                    said = _text(self._folder / "said")[-_SAID_CHARACTERS:].strip()
                    raise MissingToolError(f"{self.title} does not start: {said}") from None
                time.sleep(0.02)
            else:
                return connection

    def _plugin(self) -> Path:
        made = self._folder / "count_plugin.so"
        if not made.exists():
            shared = for_host().with_flags("-shared", "-fPIC")
            shared.build([templates_dir() / _SOURCE], made)
        return made

    def _lines(self) -> list[str]:
        return _text(self._folder / "counts").splitlines()

    def _counted(self) -> list[Arrival]:
        """Since `rewind`: the function's entry, its returns, and where it was left."""
        lines = (line.split() for line in self._lines()[self._begun :])
        return [Arrival(int(address), int(count)) for address, count in lines]


def is_installed() -> bool:
    """Whether there is a QEMU to run."""
    return shutil.which(PROGRAM) is not None


def _require() -> str:
    found = shutil.which(PROGRAM)
    if found is None:
        raise MissingToolError(f"{PROGRAM} is not installed.", hint=_CURE)
    return found


def _title(program: str) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    number = re.search(r"version (\S+)", said)
    return f"QEMU {number.group(1) if number else ''}".strip()


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
