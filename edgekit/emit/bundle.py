"""The one module that writes output files: a bundle is there as a whole or not at all.

    with claim(folder) as target:      # fails now, not after hours of training
        target.write(files, provenance=..., report=...)

Files enter as {path: bytes}; a folder with a `manifest.json` leaves. It is written beside its place
and moved there in one step, and an older bundle only goes when the new one is complete. Refused: a
folder that edgekit did not write or that holds somebody's own files, a folder another build has
claimed, paths that lead out of the bundle.

Every file but `report.json` depends only on inputs and seed, and the manifest lists just those: two
builds of the same inputs have equal manifests. `report.json` also holds the seconds it took.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from edgekit import __version__
from edgekit.emit.render import to_json
from edgekit.errors import EdgekitError, OutputError

try:
    import fcntl
except ImportError:  # Windows: builds into one folder are then not kept apart
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"
REPORT = "report.json"
_FORMAT = "edgekit-bundle"
_PARTIAL = ".partial"
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


class Claim:
    """A folder that this build, and no other, may fill."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self,
        files: Mapping[str, bytes],
        *,
        provenance: Mapping[str, Any],
        report: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the bundle; returns its folder.

        Args:
            files: content by path, with forward slashes; those that begin with "#!" become
                executable.
            provenance: where everything came from; no times or dates, they would differ each time.
            report: content of `report.json`, if there is to be one.

        Raises:
            OutputError: it could not be written; nothing is left of the attempt.
        """
        contents = {**files, MANIFEST: to_json(manifest(files, provenance))}
        if report is not None:
            contents[REPORT] = to_json(report)
        with _explained(self.path):
            fresh = _sibling(self.path)
            try:
                fresh.chmod(0o755)
                _fill(fresh, contents)
                _swap(fresh, self.path)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        return self.path


@contextmanager
def claim(path: Path) -> Iterator[Claim]:
    """Reserve a folder for one build, until the block ends.

    Raises:
        OutputError: not ours to replace, claimed by another build, or not writable.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the last symlink
    _check_replaceable(path)
    with _explained(path):
        made = [parent for parent in path.parents if not parent.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(path):
            _check_replaceable(path)
            yield Claim(path)
    finally:
        for parent in made:  # innermost first; those with a bundle in them stay
            with suppress(OSError):
                parent.rmdir()


def write_bundle(
    path: Path,
    files: Mapping[str, bytes],
    *,
    provenance: Mapping[str, Any],
    report: Mapping[str, Any] | None = None,
) -> Path:
    """Claim a folder and write a bundle into it, for callers that have everything ready."""
    with claim(path) as target:
        return target.write(files, provenance=provenance, report=report)


def manifest(files: Mapping[str, bytes], provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What `manifest.json` says: each file's size and SHA-256, and where everything came from."""
    entries = [
        {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
    ]
    return {
        "format": _FORMAT,
        "edgekit": __version__,
        "files": entries,
        "provenance": dict(provenance),
    }


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a bundle; None for a folder that is none."""
    try:
        value = json.loads((path / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) and value.get("format") == _FORMAT else None


def _check_replaceable(path: Path) -> None:
    if not path.exists() and not path.is_symlink():
        return
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{path} is not a folder.", hint="Name another output folder.")
    inside = {p.relative_to(path).as_posix() for p in path.rglob("*") if not p.is_dir()}
    if not inside:
        return
    own = read_manifest(path)
    if own is None:
        raise OutputError(
            f"{path} has content that edgekit did not write.",
            hint="edgekit deletes nothing of yours: name another output folder.",
        )
    strange = sorted(inside - {entry["path"] for entry in own["files"]} - {MANIFEST, REPORT})
    if strange:
        raise OutputError(
            f"The bundle in {path} holds files that are not edgekit's: {', '.join(strange[:5])}.",
            hint="Move them away or name another output folder.",
        )


def _fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write all files and have the disk confirm them."""
    for name, data in sorted(contents.items()):
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts or not relative.parts:
            raise OutputError(f"A bundle cannot hold the path '{name}'.")
        file = folder / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        file.chmod(0o755 if data.startswith(b"#!") else 0o644)


def _sibling(path: Path) -> Path:
    """A new folder beside `path`, on the same disk, with a name that tells what it was for."""
    return Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=_PARTIAL, dir=path.parent))


def _swap(fresh: Path, path: Path) -> None:
    """Move the new folder to its place; the old one goes only when that has worked."""
    if not path.exists():
        fresh.rename(path)
        return
    retired = _sibling(path)
    try:
        path.rename(retired / "old")
        fresh.rename(path)
    finally:
        _retire(retired, path)


def _retire(partial: Path, path: Path) -> None:
    """Remove a folder of `_sibling`, but put the old bundle back if nothing took its place."""
    old = partial / "old"
    if old.exists() and not path.exists():
        old.rename(path)
    shutil.rmtree(partial, ignore_errors=True)


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
            for left in path.parent.glob(f".{path.name}.*{_PARTIAL}"):
                _retire(left, path)
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
            f"Cannot write {path}: {cause}.", hint="Name another output folder with --out."
        ) from error
