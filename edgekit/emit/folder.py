"""A folder that is there as a whole or not at all, even if the disk fails or the build is killed.

    with reserve(path):                 # no other process may have it until the block ends
        replace_folder(path, {"a/b.txt": b"..."})

The new folder is written beside its place and moved there in one step; an older one only goes when
the new one is complete. Refused: a place another process has reserved, one that cannot be written,
paths that lead out of the folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from edgekit.errors import EdgekitError, OutputError
from edgekit.interruption import held_back, unbroken

try:
    import fcntl
except ImportError:  # Windows: builds into one folder are then not kept apart
    fcntl = None  # type: ignore[assignment]

PARTIAL = ".partial"
_OLD = "old"  # what the bundle that goes is called meanwhile
_CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
    errno.EPERM: "you may not write there",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EEXIST: "a part of the path is a file",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def reserve(path: Path) -> Iterator[None]:
    """Keep other processes away from a folder, which need not exist, until the block ends.

    Parent folders are made, and removed again if nothing stands in them at the end.

    Raises:
        OutputError: reserved by another process, or not writable.
    """
    with unbroken(_parents(path)), unbroken(_locked(path)):
        yield


def replace_folder(path: Path, contents: Mapping[str, bytes]) -> None:
    """Put a folder with these files in place of what is there.

    Args:
        path: of the folder, reserved.
        contents: by path inside it, with forward slashes; files that begin with "#!" become
            executable.

    Raises:
        OutputError: it could not be written; nothing is left of the attempt.
    """
    with _explained(path), unbroken(_sibling(path)) as fresh:
        fresh.chmod(0o755)
        _fill(fresh, contents)
        with held_back():
            _swap(fresh, path)


def is_inside(name: str) -> bool:
    """Whether a path of a folder's content stays in the folder."""
    relative = PurePosixPath(name)
    return bool(relative.parts) and not relative.is_absolute() and ".." not in relative.parts


@contextmanager
def _parents(path: Path) -> Iterator[None]:
    """Make the folders above a path; at the end those go again in which nothing stands."""
    with _explained(path):
        made = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for parent in made:  # innermost first
            with suppress(OSError):
                parent.rmdir()


def _fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files and have the disk confirm them."""
    for name, data in sorted(contents.items()):
        if not is_inside(name):
            raise OutputError(f"A bundle cannot hold the path '{name}'.")
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        file.chmod(0o755 if data.startswith(b"#!") else 0o644)


@contextmanager
def _sibling(path: Path) -> Iterator[Path]:
    """A new folder beside `path`, on the same disk, with a name that tells what it was for.

    What is left of it at the end goes.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(fresh: Path, path: Path) -> None:
    """Move the new folder to its place; the old one goes only when that has worked."""
    if not path.exists():
        fresh.rename(path)
        return
    with _sibling(path) as retired:
        try:
            path.rename(retired / _OLD)
            fresh.rename(path)
        finally:
            _put_back(retired, path)


def _put_back(retired: Path, path: Path) -> None:
    """Move the old bundle to its place again if no new one took it."""
    if (retired / _OLD).exists() and not path.exists():
        (retired / _OLD).rename(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `.<name>.lock` beside the folder; the system frees it if the process dies.

    Whoever holds it also clears away what builds that were killed have left.
    """
    if fcntl is None:
        yield
        return
    lock = path.parent / f".{path.name}.lock"
    with _explained(path):
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        if not _is_taken(descriptor, lock):
            raise OutputError(
                f"Another build is writing to {path}.",
                hint="Wait for it, or name another output folder.",
            )
        try:
            for left in path.parent.glob(f".{path.name}.*{PARTIAL}"):
                _put_back(left, path)
                shutil.rmtree(left, ignore_errors=True)
            yield
        finally:
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int, lock: Path) -> bool:
    """Whether we got the lock, and the file is still the one others will look at."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn the system's errors into one that names the folder and the cause."""
    try:
        yield
    except EdgekitError:
        raise
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0) or error.strerror or str(error)
        raise OutputError(
            f"Cannot write {path}: {cause}.", hint="Name another output folder with -o/--output."
        ) from error
