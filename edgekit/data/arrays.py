"""A .npy file -> its array, for files that nobody vouches for.

Enters: the path of a file as `numpy.save` writes it. Leaves: the array. Refused, by name: what is
no such file, is cut short, claims to be larger than it is, or holds Python objects (which would run
code when they are read).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError

_HINT = "Write it with numpy.save: one array of numbers a file."


def read_array(path: Path) -> npt.NDArray[Any]:
    """The array of a .npy file.

    The file is mapped, not read, until its size is known to be what its header says: a header that
    claims terabytes costs nothing.

    Raises:
        InputError: see the module's docstring.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.")
    try:
        mapped = np.lib.format.open_memmap(path, mode="r")
        array = np.array(mapped)
    except Exception as error:  # NumPy parses the header as Python: a dozen kinds of errors
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InputError(f"{path} is no .npy file: {reason}.", hint=_HINT) from error
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path} holds {array.dtype}, not numbers.", hint=_HINT)
    return array
