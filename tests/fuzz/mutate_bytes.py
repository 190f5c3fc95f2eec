"""Damages to the bytes of any file: what a bad disk, a broken copy or an attacker does.

Bytes and a random generator enter; other bytes leave. Words of 32 bits are hit more often than
chance would, since lengths, offsets and counts are such words in most formats.
"""

from __future__ import annotations

import random
import struct

# Lengths, offsets and numbers that programs trip over: ends of ranges, NaN, all ones.
SEVERE = (0, 1, 3, 4, 127, 128, 255, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FC00000)
# Where large files keep their structure; the middle is weights, whose bits hardly matter.
_BORDER_BYTES = 1 << 14
_LEAST_BYTES = 16


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four damages of random kinds."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        if len(out) < _LEAST_BYTES:
            break
        rng.choice(_DAMAGES)(out, rng)
    return bytes(out)


def _place(out: bytearray, rng: random.Random) -> int:
    """A position with eight bytes after it."""
    last = max(1, len(out) - 8)
    if last > 4 * _BORDER_BYTES and rng.random() < 0.8:
        at = rng.randrange(_BORDER_BYTES)
        return at if rng.random() < 0.5 else last - 1 - at
    return rng.randrange(last)


def _flip_a_bit(out: bytearray, rng: random.Random) -> None:
    out[_place(out, rng)] ^= 1 << rng.randrange(8)


def _change_a_byte(out: bytearray, rng: random.Random) -> None:
    out[_place(out, rng)] = rng.randrange(256)


def _severe_word(out: bytearray, rng: random.Random) -> None:
    struct.pack_into("<I", out, _place(out, rng) & ~3, rng.choice(SEVERE))


def _nearly_right_word(out: bytearray, rng: random.Random) -> None:
    at = _place(out, rng) & ~3
    (value,) = struct.unpack_from("<I", out, at)
    struct.pack_into("<I", out, at, (value + rng.randint(-64, 64)) & 0xFFFFFFFF)


def _cut_out(out: bytearray, rng: random.Random) -> None:
    at = _place(out, rng)
    del out[at : at + rng.randrange(1, 64)]


def _copy_elsewhere(out: bytearray, rng: random.Random) -> None:
    at, source, size = _place(out, rng), _place(out, rng), rng.randrange(1, 64)
    out[at : at + size] = out[source : source + size]


def _truncate(out: bytearray, rng: random.Random) -> None:
    if rng.randrange(8) == 0:
        del out[_place(out, rng) :]


_DAMAGES = (
    _flip_a_bit,
    _change_a_byte,
    _severe_word,
    _nearly_right_word,
    _cut_out,
    _copy_elsewhere,
    _truncate,
)
