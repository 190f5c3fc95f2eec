"""Boards as data: one TOML a board in `targets/`, read into a frozen `Board`.

A board's id enters, its description leaves. Refused: an id without a file (with "did you mean"),
a file that is not TOML, an unknown or missing key, a value out of range; the error names the file
and the key.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit.errors import InputError, unknown_name
from edgekit.resources import targets_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Lower-case words joined by underscores (ids) or hyphens (cores): safe in paths and command lines.
_Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_.-][a-z0-9]+)*$")]
_Url = Annotated[str, Field(pattern=r"^https://\S+$")]
_Address = Annotated[int, Field(ge=0, lt=1 << 32)]
_Bit = Annotated[int, Field(ge=0, lt=32)]
_Positive = Annotated[int, Field(gt=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Memory(_Record):
    """One region of a board's memory.

    Attributes:
        name: as the data sheet calls it.
        kind: "ram" holds arena and stack, "flash" holds code and weights.
        bytes: what a program can use.
        base: its first address; None where no linker script is written for the board.
    """

    name: _Name
    kind: Literal["ram", "flash"]
    bytes: _Positive
    base: _Address | None = None


class Accelerator(_Record):
    """A neural-network accelerator on or behind the board."""

    name: _Name
    clock_hz: _Positive
    sram_bytes: _Positive


class FixedChip(_Record):
    """A chip that needs no start-up of its own: its clock runs when the program begins."""

    kind: Literal["fixed", "nrf52"]


class Stm32Chip(_Record):
    """An STM32 whose PLL multiplies the internal oscillator, so that no crystal is assumed.

    Attributes:
        pll_multiplier: N; the PLL's output is N / 2 times its 1 MHz (F4) or 16 MHz (H7) input.
        overdrive: whether the regulator's over-drive is switched on first (F4 beyond 168 MHz).
    """

    kind: Literal["stm32f4", "stm32h7"]
    pll_multiplier: _Positive
    overdrive: bool = False


class Rp2Chip(_Record):
    """An RP2040 or RP2350 with a 12 MHz crystal: 12 MHz * multiplier / divider_1 / divider_2."""

    kind: Literal["rp2040", "rp2350"]
    pll_multiplier: Annotated[int, Field(ge=16, le=320)]
    pll_divider_1: Annotated[int, Field(ge=1, le=7)]
    pll_divider_2: Annotated[int, Field(ge=1, le=7)]


class _Port(_Record):
    base: _Address
    clock_hz: _Positive
    baud: _Positive = 115_200


class PlainUart(_Port):
    """A serial port that is connected to its pins already: Arm's CMSDK UART on FPGA boards."""

    kind: Literal["cmsdk"]


class Stm32Uart(_Port):
    """An STM32's USART.

    Attributes:
        enable_register, enable_bit: of the reset and clock controller, that start its clock.
        tx_port, tx_pin: the pin it writes to: "a", 2.
        tx_function: the pin's alternate function.
    """

    kind: Literal["stm32f4", "stm32h7"]
    enable_register: _Address
    enable_bit: _Bit
    tx_port: Annotated[str, Field(pattern="^[a-k]$")]
    tx_pin: Annotated[int, Field(ge=0, le=15)]
    tx_function: Annotated[int, Field(ge=0, le=15)]


class PinnedUart(_Port):
    """Nordic's UART or, on Raspberry Pi's chips, Arm's PL011.

    Attributes:
        tx_pin: the number of the pin it writes to, over all ports.
    """

    kind: Literal["nrf", "pl011"]
    tx_pin: Annotated[int, Field(ge=0, le=47)]


class Emulator(_Record):
    """What runs the board's programs where the board is not.

    Attributes:
        qemu: the name of its machine in QEMU.
        semihosting: whether the program may end there with an exit code. Without a debugger a
            real chip would stop, so only boards that are emulators first say yes.
    """

    qemu: _Name
    semihosting: bool = False


class Board(_Record):
    """What edgekit knows of a board; the TOML's keys are these names.

    Attributes:
        id: the name on the command line and of the file.
        backends: which backends make bundles for it, the most usual first.
        default_for: those of them that take this board when none is named.
        core: of the processor the network runs on: "cortex-m4", "xtensa-lx7"; "host" where the
            board is an accelerator in somebody's computer.
        features: of that core: "fpu-sp", "fpu-dp", "dsp", "mve", "neon", "dotprod", "fp16".
        clock_hz: of that core at its rated speed; None for "host".
        chip: how the C backend's program starts the processor's clock.
        uart: where that program prints to.
        emulator: of the whole board; None if there is none.
        toolchain: compiler prefix or build system; empty where nothing is compiled.
        flasher: program that writes the firmware; empty where files are copied.
    """

    id: _Name
    name: str
    backends: Annotated[tuple[_Name, ...], Field(min_length=1)]
    default_for: tuple[_Name, ...] = ()
    core: _Name
    features: tuple[_Name, ...] = ()
    clock_hz: _Positive | None
    memory: tuple[Memory, ...] = ()
    accelerator: Accelerator | None = None
    chip: Annotated[FixedChip | Stm32Chip | Rp2Chip, Field(discriminator="kind")] | None = None
    uart: Annotated[PlainUart | Stm32Uart | PinnedUart, Field(discriminator="kind")] | None = None
    emulator: Emulator | None = None
    toolchain: str = ""
    flasher: str = ""
    datasheet: _Url

    @model_validator(mode="before")
    @classmethod
    def _host_has_no_clock(cls, value: object) -> object:
        """TOML has no null: a board whose core is somebody's computer leaves `clock_hz` out."""
        if isinstance(value, dict) and value.get("core") == "host":
            return {"clock_hz": None, **value}
        return value

    @model_validator(mode="after")
    def _c_programs_need_addresses(self) -> Board:
        """A linker script and start-up code are written for the boards of the C backend."""
        regions = (self.arena_region, self.flash_region)
        placed = all(region is not None and region.base is not None for region in regions)
        if "c" in self.backends and not (placed and self.chip and self.uart):
            raise ValueError("a board for c needs [chip], [uart], and a base for RAM and flash")
        return self

    @property
    def arena_region(self) -> Memory | None:
        """The largest RAM region: a tensor arena is one piece. None where memory is not listed."""
        return max(self._regions("ram"), key=lambda region: region.bytes, default=None)

    @property
    def flash_region(self) -> Memory | None:
        """The largest flash region; None where memory is not listed."""
        return max(self._regions("flash"), key=lambda region: region.bytes, default=None)

    def _regions(self, kind: str) -> list[Memory]:
        return [region for region in self.memory if region.kind == kind]


def names() -> list[str]:
    """The ids of all boards, sorted."""
    return sorted(path.stem for path in targets_dir().glob("*.toml"))


@cache
def load(board_id: str) -> Board:
    """The board of that id.

    Raises:
        UsageError: no such board.
        InputError: its file is malformed.
    """
    if board_id not in names():
        raise unknown_name("board", board_id, names())
    return read(targets_dir() / f"{board_id}.toml")


def for_backend(backend: str) -> list[Board]:
    """The boards of a backend, its default first, the others by id."""
    boards = (board for board in map(load, names()) if backend in board.backends)
    return sorted(boards, key=lambda board: (backend not in board.default_for, board.id))


def default_for(backend: str) -> Board:
    """The board a backend takes when none is named.

    Raises:
        InputError: not exactly one board of the backend says `default = true`.
    """
    boards = [board for board in for_backend(backend) if backend in board.default_for]
    if len(boards) != 1:
        raise InputError(
            f"{len(boards)} boards say default_for = ['{backend}'], one should.",
            hint=f"Look at the files in {targets_dir()}.",
        )
    return boards[0]


def read(path: Path) -> Board:
    """A board from its TOML file.

    Raises:
        InputError: unreadable, not TOML, an unknown, missing or wrong key, or an id that is not
            the file's name.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        board = Board.model_validate(values)
    except OSError as error:
        raise InputError(f"Cannot read board file {path}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"Board file {path} is not TOML: {error}.") from error
    except ValidationError as error:
        raise InputError(f"Board file {path}: {_first_fault(error)}.", hint=_KEYS_HINT) from error
    if board.id != path.stem:
        raise InputError(f"Board file {path}: its id '{board.id}' must be the file's name.")
    return board


_KEYS_HINT = f"A board's keys are: {', '.join(Board.model_fields)}."


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'"
    if fault["type"] == "missing":
        return f"key '{key}' is missing"
    return f"key '{key}': {fault['msg'][0].lower()}{fault['msg'][1:]}, not {fault['input']!r}"
