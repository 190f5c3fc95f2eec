"""An ELF file as UF2, which {{ board.name }} takes like a file on a USB stick.

    python3 uf2.py self_test.elf self_test.uf2

Source of the format: https://github.com/microsoft/uf2. Written by edgekit {{ version }}.
"""

import struct
import sys
from pathlib import Path

FAMILY = {{ "0x%08X" % uf2_family }}
PAYLOAD_BYTES = 256
MAGIC_START, MAGIC_SECOND, MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
HAS_FAMILY = 0x2000
LOAD = 1  # type of a segment that is loaded


def segments(elf):
    """(address, bytes) of everything that goes into flash."""
    if elf[:6] != b"\x7fELF\x01\x01":
        raise SystemExit("This is no 32-bit little-endian ELF file.")
    (table,) = struct.unpack_from("<I", elf, 28)
    size, count = struct.unpack_from("<HH", elf, 42)
    for header in range(table, table + size * count, size):
        kind, offset, _, address, length = struct.unpack_from("<5I", elf, header)
        if kind == LOAD and length:
            yield address, elf[offset : offset + length]


def pages(pieces):
    """Bytes by the address of their page of 256; what nobody fills is zero."""
    found = {}
    for address, data in pieces:
        for index, byte in enumerate(data, start=address):
            page = found.setdefault(index - index % PAYLOAD_BYTES, bytearray(PAYLOAD_BYTES))
            page[index % PAYLOAD_BYTES] = byte
    return found


def uf2(elf):
    """The file's bytes: one block of 512 a page."""
    found = sorted(pages(segments(elf)).items())
    blocks = []
    for index, (address, data) in enumerate(found):
        head = struct.pack(
            "<8I", MAGIC_START, MAGIC_SECOND, HAS_FAMILY, address, PAYLOAD_BYTES, index,
            len(found), FAMILY,
        )
        blocks.append((head + data).ljust(508, b"\0") + struct.pack("<I", MAGIC_END))
    return b"".join(blocks)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    Path(sys.argv[2]).write_bytes(uf2(Path(sys.argv[1]).read_bytes()))
