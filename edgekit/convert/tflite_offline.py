"""The offline memory plan inside a TFLite file: a metadata buffer that TFLite Micro reads.

Offsets, one a tensor in the file's order, become int32 numbers and come back: version, subgraph,
count, then each tensor's offset in the arena or -1 for one that TFLite Micro places by itself.
Refused: numbers that do not form such a plan. Source: tflite-micro's docs/memory_management.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

METADATA_NAME = "OfflineMemoryAllocation"
_VERSION, _SUBGRAPH = 1, 0
_PLACED_ONLINE = -1
_HEADER = 3


def encode(offsets: Sequence[int | None]) -> npt.NDArray[np.int32]:
    """The numbers for these offsets; None: not planned."""
    known = [_PLACED_ONLINE if offset is None else offset for offset in offsets]
    return np.array([_VERSION, _SUBGRAPH, len(offsets), *known], np.int32)


def decode(numbers: npt.NDArray[np.int32], tensors: int) -> list[int | None]:
    """The offsets behind these numbers.

    Args:
        numbers: the buffer's content.
        tensors: how many the file has.

    Raises:
        InputError: TFLite Micro would not take this plan, or read beyond it.
    """
    expected = _HEADER + tensors
    if len(numbers) < expected or numbers[2] != tensors or np.any(numbers[_HEADER:] < -1):
        raise InputError(
            f"The model's offline memory plan has {len(numbers)} numbers that do not fit its "
            f"{tensors} tensors.",
            hint="Convert the model again without the plan.",
        )
    return [None if n == _PLACED_ONLINE else int(n) for n in numbers[_HEADER:expected]]


def without_plan(tflite: bytes) -> bytes:
    """The file with its plan under a name that nobody reads: the same model, placed online."""
    name = METADATA_NAME.encode()
    return tflite.replace(name, name.swapcase())
