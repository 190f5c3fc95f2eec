"""What the command line and an engine's process say to each other: a line of JSON, then arrays.

A header of plain values and arrays enter one end of a pipe and leave the other. NumPy's own file
format is not used, as `numpy.save` and `numpy.load` ask a pipe for its position.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from edgekit.emulate.samples import Values

_ARRAYS = "arrays"


def send(
    stream: IO[bytes], header: Mapping[str, Any], arrays: Sequence[Values | None] = ()
) -> None:
    """Write one message; an array may be missing (None)."""
    shapes = [a if a is None else [a.dtype.str, list(a.shape)] for a in arrays]
    stream.write(json.dumps({**header, _ARRAYS: shapes}).encode() + b"\n")
    for array in arrays:
        if array is not None:
            stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[Values | None]]:
    """Read one message.

    Raises:
        EOFError: the other end is gone.
    """
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    header = json.loads(line)
    entries = header.pop(_ARRAYS)
    return header, [None if entry is None else _array(stream, *entry) for entry in entries]


def _array(stream: IO[bytes], dtype: str, shape: Sequence[int]) -> Values:
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    raw = stream.read(size_bytes)
    if len(raw) < size_bytes:
        raise EOFError
    return np.frombuffer(raw, dtype).reshape(shape)
