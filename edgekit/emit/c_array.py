"""Bytes and numbers as tidy C text: same values, same text, fast for models of megabytes.

Arrays enter, the text between the braces leaves (no declaration: templates write those).
"""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
import numpy.typing as npt

_BYTES_A_LINE = 12
_WIDTH = 100
_CELL = 6  # "0x00, "
_CELLS = np.frombuffer("".join(f"0x{b:02x}, " for b in range(256)).encode(), f"S{_CELL}")


def hex_bytes(data: bytes) -> str:
    """The bytes as `0x..` cells, twelve a line, indented by two; every line ends in a comma."""
    cells = _CELLS[np.frombuffer(data, np.uint8)]
    whole = len(cells) // _BYTES_A_LINE * _BYTES_A_LINE
    text = _lines(cells[:whole].reshape(-1, _BYTES_A_LINE))
    rest = cells[whole:]
    return text + _lines(rest.reshape(1, -1)) if len(rest) else text


def _lines(rows: npt.NDArray[Any]) -> str:
    """Each row of cells on a line; the last cell's trailing blank becomes the newline."""
    count, width = len(rows), rows.shape[1] * _CELL
    text = np.full((count, 2 + width), ord(" "), np.uint8)
    text[:, 2:] = np.frombuffer(rows.tobytes(), np.uint8).reshape(count, width)
    text[:, -1] = ord("\n")
    return text.tobytes().decode("ascii")


def numbers(values: npt.NDArray[Any]) -> str:
    """Numbers in decimal, wrapped to 100 columns, indented by two, a comma after each.

    Floats have the nine digits that tell every float32 from its neighbours; infinity and NaN take
    their names from math.h.
    """
    cells = " ".join(f"{literal(value)}," for value in values.reshape(-1).tolist())
    lines = textwrap.wrap(cells, _WIDTH - 2, break_long_words=False, break_on_hyphens=False)
    return "".join(f"  {line}\n" for line in lines)


def literal(value: float) -> str:
    """A number as a C literal; see `numbers`."""
    if not isinstance(value, float):
        # A bool is an int too; in C, INT32_MIN is minus a number that int32_t cannot hold.
        return "INT32_MIN" if value == -(1 << 31) else str(int(value))
    if math.isnan(value):
        return "NAN"
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if set(".e") & set(text) else f"{text}.0f"
