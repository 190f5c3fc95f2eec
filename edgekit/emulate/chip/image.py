"""A firmware as the emulators read it: what lies where, and what it is called.

The bytes of a linked ELF for a 32-bit Arm enter; a frozen `Image` leaves. Refused: other files, and
images without a symbol table, as nothing could be found in them.
"""

from __future__ import annotations

import io
import struct
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgekit import extras
from edgekit.errors import InputError

_HEADER = 8  # the first two words of a vector table: stack pointer, reset handler


@dataclass(frozen=True)
class Symbol:
    """A function or object; of a function, without the Thumb bit."""

    name: str
    address: int
    size_bytes: int
    is_function: bool

    def __contains__(self, address: int) -> bool:
        return self.address <= address < self.address + max(1, self.size_bytes)


@dataclass(frozen=True)
class Piece:
    """Bytes that are loaded, where they lie before anything runs; or that are only reserved.

    Attributes:
        name: of the section.
        address: where it is at run time.
        load_address: where the programmer puts it: in flash, for initialised variables.
        data: empty if it is only reserved.
    """

    name: str
    address: int
    load_address: int
    size_bytes: int
    data: bytes


@dataclass(frozen=True)
class Image:
    """A linked firmware.

    Attributes:
        elf: the file.
        pieces: what takes memory, by address.
        symbols: those with an address, by address.
        vectors: where the vector table lies.
    """

    elf: bytes
    pieces: tuple[Piece, ...]
    symbols: tuple[Symbol, ...]
    vectors: int

    def symbol(self, name: str) -> Symbol:
        """The symbol of that name.

        Raises:
            InputError: the image has none.
        """
        found = self.find(name)
        if found is None:
            raise InputError(f"The firmware has no symbol '{name}'.", hint="Was it stripped?")
        return found

    def find(self, name: str) -> Symbol | None:
        """The symbol of that name, if there is one."""
        return next((symbol for symbol in self.symbols if symbol.name == name), None)

    def name_of(self, address: int) -> str:
        """The symbol that an address lies in, for messages: "ek_conv_s8+0x1c"."""
        starts = [symbol.address for symbol in self.symbols]
        for symbol in reversed(self.symbols[: bisect_right(starts, address)]):
            if address in symbol:
                offset = address - symbol.address
                return f"{symbol.name}+{offset:#x}" if offset else symbol.name
        return ""


def read_image(elf: bytes) -> Image:
    """Read a linked ELF.

    Raises:
        InputError: it is none for a 32-bit Arm, or has no symbols.
        MissingToolError: pyelftools is not installed.
    """
    extras.require("c")
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(elf))
        table = file.get_section_by_name(".symtab")
        if file["e_machine"] != "EM_ARM" or file.elfclass != 32 or table is None:
            raise InputError("The firmware is no 32-bit Arm ELF with symbols.")
        pieces = tuple(sorted(_pieces(file), key=lambda piece: piece.address))
        symbols = sorted(_symbols(table), key=lambda symbol: symbol.address)
        entry = int(file["e_entry"]) & ~1
    except (ELFError, struct.error) as error:
        raise InputError(f"The firmware is no ELF file: {error}.") from error
    return Image(elf, pieces, tuple(symbols), _vectors(pieces, entry))


def _pieces(file: Any) -> Iterable[Piece]:
    segments = [s for s in file.iter_segments() if s["p_type"] == "PT_LOAD"]
    for section in file.iter_sections():
        header: Mapping[str, Any] = section.header
        size = header["sh_size"]
        if not header["sh_flags"] & _ALLOCATED or not size:
            continue
        reserved = header["sh_type"] == "SHT_NOBITS"
        address = header["sh_addr"]
        shift = next(
            (
                s["p_paddr"] - s["p_vaddr"]
                for s in segments
                if s["p_vaddr"] <= address and address + size <= s["p_vaddr"] + s["p_memsz"]
            ),
            0,
        )
        data = b"" if reserved else section.data()
        yield Piece(section.name, address, address + shift, size, data)


_ALLOCATED = 2  # SHF_ALLOC


def _symbols(table: Any) -> Iterable[Symbol]:
    for symbol in table.iter_symbols():
        kind, address = symbol["st_info"]["type"], symbol["st_value"]
        if kind in ("STT_FUNC", "STT_OBJECT") and symbol["st_shndx"] != "SHN_UNDEF":
            function = kind == "STT_FUNC"
            yield Symbol(
                symbol.name, address & ~1 if function else address, symbol["st_size"], function
            )


def _vectors(pieces: Iterable[Piece], entry: int) -> int:
    """The table whose second word is the reset handler that the ELF names as its entry."""
    for piece in pieces:
        for offset in range(0, max(0, len(piece.data) - _HEADER + 1), 4):
            if struct.unpack_from("<I", piece.data, offset + 4)[0] & ~1 == entry:
                return piece.load_address + offset
    raise InputError("The firmware's vector table does not lead to its entry point.")
