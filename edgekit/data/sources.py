"""From what the user names to a `Dataset`: nothing, a known name, or a folder of class folders."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from edgekit.data import embedded, fashion_mnist, folder
from edgekit.data.dataset import Dataset
from edgekit.errors import InputError
from edgekit.progress import Progress, silent

KNOWN = ("embedded", "fashion_mnist")


def load(
    source: str | Path | None = None, *, seed: int = 0, progress: Progress = silent
) -> Dataset:
    """Open a data set.

    Args:
        source: None or "embedded": the subset of Fashion-MNIST inside edgekit. "fashion_mnist": all
            of it, from Debian's package. Else a folder with a folder of pictures for each class
            ("./fashion_mnist" is a folder).
        seed: of the cut, where a folder lacks splits; the known sets' splits are fixed.
        progress: told about files compared to find copies.

    Raises:
        InputError: no such folder or name, a corrupt file, or a folder that is no data set.
        MissingToolError: "fashion_mnist" without the package.
    """
    if source is None or source == "embedded":
        return embedded.load()
    if source == "fashion_mnist":
        return fashion_mnist.load()
    if not str(source):
        raise InputError("The name of the data set is empty.", hint="Leave --data out for ours.")
    root = _expanded(source)
    try:
        if root.is_dir():
            return folder.load(root, seed, progress)
        if root.exists():
            raise InputError(f"{source} is a file; a data set is a folder with a folder a class.")
    except OSError as error:  # a name too long, or nobody may look inside
        raise InputError(f"{source} cannot be read: {error.strerror}.") from error
    near = get_close_matches(str(source).lower(), KNOWN, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]}?" if near else f"Known data sets: {', '.join(KNOWN)}."
    raise InputError(f"There is no folder or data set '{source}'.", hint=hint)


def _expanded(source: str | Path) -> Path:
    """With ~ and ~user replaced where they mean somebody."""
    try:
        return Path(source).expanduser()
    except RuntimeError:  # no such user
        return Path(source)
