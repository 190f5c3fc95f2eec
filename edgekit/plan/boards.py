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


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Memory(_Record):
    """One region of a board's memory.

    Attributes:
        name: as the data sheet calls it.
        kind: "ram" holds arena and stack, "flash" holds code and weights.
        bytes: what a program can use.
    """

    name: _Name
    kind: Literal["ram", "flash"]
    bytes: Annotated[int, Field(gt=0)]


class Accelerator(_Record):
    """A neural-network accelerator on or behind the board."""

    name: _Name
    clock_hz: Annotated[int, Field(gt=0)]
    sram_bytes: Annotated[int, Field(gt=0)]


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
        toolchain: compiler prefix or build system; empty where nothing is compiled.
        flasher: program that writes the firmware; empty where files are copied.
    """

    id: _Name
    name: str
    backends: Annotated[tuple[_Name, ...], Field(min_length=1)]
    default_for: tuple[_Name, ...] = ()
    core: _Name
    features: tuple[_Name, ...] = ()
    clock_hz: Annotated[int, Field(gt=0)] | None
    memory: tuple[Memory, ...] = ()
    accelerator: Accelerator | None = None
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
