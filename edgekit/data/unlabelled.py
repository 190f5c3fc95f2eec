"""Pictures that only calibrate: a folder's, whatever its subfolders are called.

A folder enters; a `Split` whose classes are all unknown leaves. Refused: no folder, no pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.data.folder_split import FolderSplit, PixelCache
from edgekit.data.pictures import FORMATS_HINT, picture_paths
from edgekit.errors import InputError


def unlabelled(folder: Path) -> FolderSplit:
    """All pictures under a folder.

    Raises:
        InputError: it is no folder, or holds no pictures.
    """
    if not folder.is_dir():
        raise InputError(f"The calibration folder {folder} is not a folder.")
    paths, _ = picture_paths(folder)
    if not paths:
        raise InputError(f"The calibration folder {folder} holds no pictures.", hint=FORMATS_HINT)
    names = [path.relative_to(folder).as_posix() for path in paths]
    return FolderSplit(folder, names, np.full(len(names), -1, np.int64), PixelCache())
