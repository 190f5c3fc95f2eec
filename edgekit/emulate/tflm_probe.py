"""Bisect the arena of a model, as a process of its own: the interpreter may crash it.

Standard input holds the .tflite; arguments are a size known to be too small and one known to be
enough. Each size is printed before it is tried, the verdict after: `4096 enough`, `2048 small`.
A line without a verdict is the size that crashed.
"""

from __future__ import annotations

import sys

from edgekit.emulate.tflm import ARENA_ALIGNMENT_BYTES, Interpreter
from edgekit.errors import UnsupportedError


def main() -> None:
    """Narrow the two sizes until they are neighbours."""
    too_small, enough = (int(argument) for argument in sys.argv[1:])
    tflite = sys.stdin.buffer.read()
    while enough - too_small > ARENA_ALIGNMENT_BYTES:
        steps = (enough - too_small) // ARENA_ALIGNMENT_BYTES
        size = too_small + (steps + 1) // 2 * ARENA_ALIGNMENT_BYTES
        print(size, end=" ", flush=True)
        try:
            Interpreter(tflite, size)(())
        except UnsupportedError:
            print("small", flush=True)
            too_small = size
        else:
            print("enough", flush=True)
            enough = size


if __name__ == "__main__":
    main()
