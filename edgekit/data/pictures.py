"""Picture files: which count as pictures, how one is read, how a folder of them is walked.

Enters: paths of JPEG, PNG, BMP or WebP files. Leaves: decoded Pillow pictures, still in their own
mode and orientation (`Preprocessing.pixels` flattens them). Refused, by name: files that are
missing, empty, truncated, not one of these formats, or too large to be a photograph.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from edgekit.errors import InputError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # told by content, whatever the suffix says
FORMATS_HINT = "Pictures are JPEG, PNG, BMP or WebP files."


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to a tool, such as .ipynb_checkpoints or __MACOSX."""
    return name.startswith(".") or name == "__MACOSX"


def picture_paths(folder: Path) -> tuple[list[Path], int]:
    """All pictures under a folder, sorted, and the number of other files left out."""
    paths: list[Path] = []
    others = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        shown = [name for name in files if not is_hidden(name)]
        found = [Path(parent, name) for name in shown if Path(name).suffix.lower() in SUFFIXES]
        others += len(shown) - len(found)
        paths += found
    return sorted(paths, key=Path.as_posix), others


def read_picture(path: Path) -> Image.Image:
    """Decode one picture file in full.

    Raises:
        InputError: it cannot be read, naming the file.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.load()
            return image
    except FileNotFoundError as error:
        raise InputError(f"There is no picture {path}.") from error
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is not a picture edgekit reads.", hint=FORMATS_HINT) from error
    except Image.DecompressionBombError as error:
        raise InputError(f"The picture {path} is too large: {error}") from error
    except (
        OSError,
        SyntaxError,  # Pillow's word for a broken PNG
        ValueError,
        EOFError,
        struct.error,
    ) as error:
        raise InputError(
            f"The picture {path} cannot be decoded: {error}.",
            hint="It is truncated or corrupt: replace or remove it.",
        ) from error


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputError: it cannot be read, naming the file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"The picture {path} cannot be read: {error}.") from error


def images(path: str | Path) -> Iterator[tuple[str, Image.Image]]:
    """(name, picture) of one file, or of every picture under a folder, sorted by name.

    Names are relative to the folder, with forward slashes. Pictures are decoded one at a time.

    Raises:
        InputError: nothing there, no picture in the folder, or one that cannot be decoded.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        yield root.name, read_picture(root)
        return
    paths, _ = picture_paths(root)
    if not paths:
        raise InputError(f"There is no picture in {root}.", hint=FORMATS_HINT)
    for file in paths:
        yield file.relative_to(root).as_posix(), read_picture(file)
