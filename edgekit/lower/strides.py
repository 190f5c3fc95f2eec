"""Shapes and strides as the runtime's loops want them: of rank EK_RANK, filled up in front."""

from __future__ import annotations

from collections.abc import Sequence

RANK = 6  # EK_RANK in ek_strides.h


def contiguous(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a tensor without gaps."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


def broadcast(shape: Sequence[int], output: Sequence[int]) -> tuple[int, ...]:
    """The strides with which an operand is read for an output: 0 where it is repeated."""
    own = (1,) * (len(output) - len(shape)) + tuple(shape)
    strides = contiguous(own)
    return tuple(0 if size == 1 else step for size, step in zip(own, strides, strict=True))


def padded(values: Sequence[int], fill: int) -> tuple[int, ...]:
    """The values, filled up in front to the rank of the runtime's loops.

    Raises:
        ValueError: there are more than that.
    """
    if len(values) > RANK:
        raise ValueError(f"{len(values)} dimensions are more than {RANK}")
    return (fill,) * (RANK - len(values)) + tuple(int(value) for value in values)
