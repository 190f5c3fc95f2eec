"""A C bundle compiled for its board, and what that takes of its memory.

The files of a bundle and its board enter; an ELF on disk and frozen `Sizes` leave. Nothing is
executed here.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.emulate.toolchain import Toolchain
from edgekit.errors import InputError

LINKER_SCRIPT = "link.ld"
_ALLOCATED, _WRITABLE, _RESERVED_ONLY = 2, 1, 8  # section flags SHF_ALLOC, SHF_WRITE; SHT_NOBITS


@dataclass(frozen=True)
class Section:
    """A section of an ELF file that takes memory on the chip.

    Attributes:
        name: as the linker script calls it.
        address: where it lies while the program runs.
        size_bytes: how much it takes.
        in_flash: whether flash holds its bytes.
        in_ram: whether it lies in RAM; initialised variables do both.
    """

    name: str
    address: int
    size_bytes: int
    in_flash: bool
    in_ram: bool


@dataclass(frozen=True)
class Sizes:
    """What a firmware takes.

    Attributes:
        code_bytes: of flash, for instructions, start-up and everything that is not named below.
        weights_bytes: of flash, for weights and the layers' parameters.
        test_bytes: of flash, for golden vectors.
        arena_bytes: of RAM.
        stack_bytes: of RAM, set apart.
        variables_bytes: of RAM, for all other variables.
    """

    code_bytes: int
    weights_bytes: int
    test_bytes: int
    arena_bytes: int
    stack_bytes: int
    variables_bytes: int


def compile_bundle(folder: Path, elf: Path, toolchain: Toolchain) -> None:
    """Compile all C files of a bundle, and link them by its linker script.

    Raises:
        EdgekitError: shows what the compiler said.
    """
    toolchain.build(sorted(folder.glob("*.c")), elf, folder / LINKER_SCRIPT)


def compiled_sizes(files: Mapping[str, bytes], toolchain: Toolchain) -> Sizes:
    """Compile a bundle that is not written yet, and measure it.

    Raises:
        EdgekitError: shows what the compiler said.
    """
    with tempfile.TemporaryDirectory(prefix="edgekit-") as name:
        folder = Path(name)
        for path, content in files.items():
            if Path(path).suffix in {".c", ".h", ".ld"}:
                (folder / path).write_bytes(content)
        compile_bundle(folder, folder / "self_test.elf", toolchain)
        return sizes((folder / "self_test.elf").read_bytes())


def sizes(elf: bytes) -> Sizes:
    """What a firmware takes, by the sections of the bundle's linker script.

    Raises:
        InputError: no ELF file for a 32-bit little-endian chip.
    """
    found = list(sections(elf))

    def named(name: str) -> int:
        return sum(section.size_bytes for section in found if section.name == name)

    weights, test = named(".weights"), named(".golden")
    arena, stack = named(".arena"), named(".stack")
    return Sizes(
        code_bytes=sum(s.size_bytes for s in found if s.in_flash) - weights - test,
        weights_bytes=weights,
        test_bytes=test,
        arena_bytes=arena,
        stack_bytes=stack,
        variables_bytes=sum(s.size_bytes for s in found if s.in_ram) - arena - stack,
    )


def sections(elf: bytes) -> Iterator[Section]:
    """The sections that take memory, in the file's order.

    Raises:
        InputError: no ELF file for a 32-bit little-endian chip.
    """
    if elf[:6] != b"\x7fELF\x01\x01":
        raise InputError("This is no ELF file for a 32-bit little-endian chip.")
    (table,) = struct.unpack_from("<I", elf, 32)
    size, count, names = struct.unpack_from("<3H", elf, 46)
    headers = [struct.unpack_from("<6I", elf, table + size * i) for i in range(count)]
    texts = headers[names][4]
    for name, kind, flags, address, _, length in headers:
        if flags & _ALLOCATED and length:
            start = texts + name
            yield Section(
                elf[start : elf.index(b"\0", start)].decode(),
                address,
                length,
                in_flash=kind != _RESERVED_ONLY,
                in_ram=bool(flags & _WRITABLE) or kind == _RESERVED_ONLY,
            )
