"""Bounds-checked reading of flatbuffers, for files that nobody vouches for.

Bytes enter; tables, vectors and strings leave. Every offset is checked against the file before it
is followed, and all that is read is charged to a budget of a few times the file's size, so that
tables which share or nest each other cannot make a small file cost much time or memory. Whatever
does not hold is an InputError.
Source of the format: https://flatbuffers.dev/internals.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

# Every honest byte is read about once; the slack is for files of a few hundred bytes.
_BUDGET_FACTOR = 4
_BUDGET_SLACK_BYTES = 1 << 16
# What following an offset to a table costs, whatever is read from the table.
_TABLE_COST_BYTES = 64
_MAX_FILE_BYTES = 2**31 - 1
_MAX_TEXT_BYTES = 1 << 16


def damaged(what: str) -> InputError:
    """The error for a file that contradicts itself."""
    return InputError(
        f"The model file is damaged: {what}.", hint="Copy or convert it again; it must be whole."
    )


class Flatbuffer:
    """The bytes of a file, and what may still be read of them."""

    def __init__(self, data: bytes) -> None:
        if len(data) > _MAX_FILE_BYTES:
            raise InputError("The model file is larger than 2 GiB, which flatbuffers cannot be.")
        self._data = data
        self._budget_bytes = _BUDGET_FACTOR * len(data) + _BUDGET_SLACK_BYTES

    def root(self, identifier: bytes) -> Table:
        """The root table of a file with this 4-byte identifier."""
        if len(self._data) < 8 or self._data[4:8] != identifier:
            raise InputError(
                f"This is not a TFLite model: bytes 4 to 8 are not '{identifier.decode()}'.",
                hint="Give a .tflite file that was downloaded or converted completely.",
            )
        return Table(self, self.follow(0))

    def charge(self, count: int) -> None:
        """Take `count` bytes from the budget."""
        self._budget_bytes -= count
        if self._budget_bytes < 0:
            raise damaged("its parts share or repeat each other beyond measure")

    def unpack(self, form: str, position: int) -> Any:
        """One scalar at a position; `form` is a `struct` format."""
        if position < 0 or position + struct.calcsize(form) > len(self._data):
            raise damaged(f"an offset points to byte {position} of {len(self._data)}")
        return struct.unpack_from(form, self._data, position)[0]

    def follow(self, position: int) -> int:
        """The position that the offset stored at a position points to."""
        return position + int(self.unpack("<I", position))

    def span(self, position: int, item_bytes: int) -> tuple[int, int]:
        """(first byte, length) of the vector at a position."""
        length = int(self.unpack("<I", position))
        if position + 4 + length * item_bytes > len(self._data):
            raise damaged(f"a vector of {length} elements does not fit into the file")
        return position + 4, length

    def array(self, start: int, length: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A read-only view of elements that `span` has checked."""
        return np.frombuffer(self._data, dtype, length, start)

    def text(self, position: int) -> str:
        """The string at a position; what cannot be printed becomes U+FFFD."""
        start, length = self.span(position, 1)
        if length > _MAX_TEXT_BYTES:
            raise damaged(f"a name has {length} bytes")
        self.charge(length)
        raw = self._data[start : start + length].decode("utf-8", "replace")
        return "".join(c if c.isprintable() else "\ufffd" for c in raw)


class Table:
    """One table; fields are named by their slot, absent ones read as a default."""

    def __init__(self, file: Flatbuffer, position: int) -> None:
        file.charge(_TABLE_COST_BYTES)
        self._file = file
        self._position = position
        self._vtable = position - int(file.unpack("<i", position))
        self._vtable_bytes = int(file.unpack("<H", self._vtable))
        self._table_bytes = int(file.unpack("<H", self._vtable + 2))

    def _field(self, slot: int, item_bytes: int) -> int | None:
        """Position of a field, None if the table has not got it."""
        entry = 4 + 2 * slot
        if entry + 2 > self._vtable_bytes:
            return None
        offset = int(self._file.unpack("<H", self._vtable + entry))
        if offset == 0:
            return None
        if offset + item_bytes > self._table_bytes:
            raise damaged("a field lies outside its table")
        return self._position + offset

    def _target(self, slot: int) -> int | None:
        field = self._field(slot, 4)
        return None if field is None else self._file.follow(field)

    def scalar(self, slot: int, form: str, default: Any = 0) -> Any:
        """A number or truth value; `form` is its `struct` format."""
        field = self._field(slot, struct.calcsize(form))
        return default if field is None else self._file.unpack(form, field)

    def table(self, slot: int) -> Table | None:
        """A table, None if absent."""
        target = self._target(slot)
        return None if target is None else Table(self._file, target)

    def count(self, slot: int) -> int:
        """Length of a vector of tables."""
        target = self._target(slot)
        return 0 if target is None else self._file.span(target, 4)[1]

    def tables(self, slot: int) -> Iterator[Table]:
        """The tables of a vector, one after the other."""
        target = self._target(slot)
        if target is None:
            return
        start, length = self._file.span(target, 4)
        for position in range(start, start + 4 * length, 4):
            yield Table(self._file, self._file.follow(position))

    def numbers(self, slot: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """A vector of numbers, charged; empty if absent."""
        view = self.view(slot, dtype)
        self._file.charge(view.nbytes)
        return view

    def view(self, slot: int, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any]:
        """A vector of numbers that is only pointed to, not charged; empty if absent."""
        target = self._target(slot)
        if target is None:
            return np.zeros(0, dtype)
        start, length = self._file.span(target, np.dtype(dtype).itemsize)
        return self._file.array(start, length, dtype)

    def text(self, slot: int) -> str:
        """A string; empty if absent."""
        target = self._target(slot)
        return "" if target is None else self._file.text(target)

    def has(self, slot: int) -> bool:
        """Whether the field is there."""
        return self._field(slot, 1) is not None
