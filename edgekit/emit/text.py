"""Foreign text in generated files: names and labels that hold anything printable, or worse.

Any text enters. What leaves is a literal that means the same text, or one line without anything
that could end a comment, a docstring, a table's cell or a CMake string.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^\w .,:/()+-]")
_PYTHON = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_C = {ord("\\"): "\\\\", ord('"'): '\\"'}


def plain(text: str) -> str:
    """The text with an underscore for all but letters, digits, blanks and a few harmless signs."""
    return _UNSAFE.sub("_", text)


def single_line(text: str) -> str:
    """The text with a blank for each line break, of all the kinds that `str.splitlines` knows."""
    return " ".join(text.splitlines())


def python_string(text: str) -> str:
    """A Python string literal; what cannot be printed is escaped."""
    return '"' + "".join(map(_python_cell, text)) + '"'


def _python_cell(char: str) -> str:
    if char in _PYTHON:
        return _PYTHON[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def c_string(text: str) -> str:
    r"""A C string literal; other than printable ASCII is escaped in octal, byte by byte of UTF-8.

    A question mark after another becomes `\?`, as C before C23 reads `??/` and eight others as one
    character (trigraphs).
    """
    cells = (_c_cell(byte) for byte in text.encode(errors="replace"))
    return '"' + re.sub(r"(?<=\?)\?", r"\\?", "".join(cells)) + '"'


def _c_cell(byte: int) -> str:
    return _C.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}")
