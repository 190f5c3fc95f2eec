"""Bundles: written as a whole or not at all, and read back with every byte checked.

    with claim(folder) as target:      # fails now, not after hours of training
        target.write(files, provenance=..., report=...)
    read_bundle(folder).read("model_int8.tflite")

Files enter as {path: bytes}; a folder with a `manifest.json` leaves. Refused: a folder that edgekit
did not write, or in which somebody has added or changed files; a folder another build has claimed.
What a bundle's README asks its user to add (`additions`) stays as long as it fits the new bundle.

Every file but `report.json` depends only on inputs and seed, and the manifest lists just those: two
builds of the same inputs have equal manifests. `report.json` also holds the seconds it took.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgekit import __version__
from edgekit.emit.folder import is_inside, replace_folder, reserve
from edgekit.emit.render import to_json
from edgekit.errors import InputError, OutputError

MANIFEST = "manifest.json"
REPORT = "report.json"
_FORMAT = "edgekit-bundle"
_MOVE_OR_RENAME = "Move them away or name another output folder with -o/--output."


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk. Nothing is read before it is asked for.

    Attributes:
        path: its folder.
        manifest: the content of `manifest.json`, its form checked.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The files that the manifest lists, sorted."""
        return tuple(sorted(self._entries))

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where everything came from."""
        provenance: Mapping[str, Any] = self.manifest["provenance"]
        return provenance

    @property
    def additions(self) -> Mapping[str, str]:
        """Files its README asks the user to add, each with the file it is made from."""
        additions: Mapping[str, str] = self.manifest.get("additions", {})
        return additions

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def read(self, name: str) -> bytes:
        """The content of a listed file.

        Raises:
            InputError: not listed, missing, unreadable, or other than when it was written.
        """
        if name not in self:
            raise InputError(f"The bundle {self.path} has no {name}.")
        file, entry = self.path / name, self._entries[name]
        try:
            data = file.read_bytes() if file.stat().st_size == entry["bytes"] else b""
        except OSError as error:
            raise InputError(
                f"The bundle {self.path} is damaged: {name} cannot be read ({error.strerror})."
            ) from error
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise InputError(
                f"The bundle {self.path} is damaged: {name} is not as edgekit wrote it.",
                hint="Build it again, or copy it again from where it came.",
            )
        return data

    def report(self) -> dict[str, Any] | None:
        """The content of `report.json`; None if there is none.

        Raises:
            InputError: it is damaged.
        """
        if not (self.path / REPORT).exists():
            return None
        return _json_object(self.path / REPORT)

    def is_changed(self, name: str) -> bool:
        """Whether a listed file is there, but not as it was written."""
        if not (self.path / name).exists():
            return False
        try:
            self.read(name)
        except InputError:
            return True
        return False

    def sha256(self, name: str) -> str:
        """The digest of a listed file, as it was written."""
        return str(self._entries[name]["sha256"])

    @cached_property
    def _entries(self) -> dict[str, Any]:
        return {entry["path"]: entry for entry in self.manifest["files"]}


def read_bundle(path: Path) -> Bundle:
    """The bundle in a folder.

    Raises:
        InputError: no bundle, or one whose manifest is damaged.
    """
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "does not exist"
        raise InputError(f"{path} is not a bundle: it {what}.")
    if not (path / MANIFEST).is_file():
        raise InputError(
            f"{path} is not a bundle: it has no {MANIFEST}.", hint="`edgekit build` makes bundles."
        )
    manifest = _json_object(path / MANIFEST)
    if manifest.get("format") != _FORMAT:
        raise InputError(f"{path / MANIFEST} is not the manifest of a bundle.")
    if not _is_well_formed(manifest):
        raise InputError(f"{path / MANIFEST} is damaged: its entries are not those of a bundle.")
    return Bundle(path, manifest)


class Claim:
    """A folder that this build, and no other, may fill.

    Attributes:
        path: of the folder.
        old: the bundle that is there now, if any.
    """

    def __init__(self, path: Path, old: Bundle | None) -> None:
        self.path = path
        self.old = old

    def write(
        self,
        files: Mapping[str, bytes],
        *,
        provenance: Mapping[str, Any],
        report: Mapping[str, Any] | None = None,
        additions: Mapping[str, str] | None = None,
    ) -> Path:
        """Write the bundle; returns its folder.

        Args:
            files: content by path, with forward slashes; those that begin with "#!" become
                executable.
            provenance: where everything came from; no times or dates, they would differ each time.
            report: content of `report.json`, if there is to be one.
            additions: files the user may add, each with the file of the bundle it is made from.

        Raises:
            OutputError: it could not be written; nothing is left of the attempt.
        """
        contents = {**files, MANIFEST: to_json(_manifest(files, provenance, additions or {}))}
        if report is not None:
            contents[REPORT] = to_json(report)
        for name, fits in self._added(files, additions or {}).items():
            if fits:
                contents[name] = self._kept(name)
        replace_folder(self.path, contents)
        return self.path

    def notices(
        self, files: Mapping[str, bytes], additions: Mapping[str, str] | None = None
    ) -> list[str]:
        """What `write` will do with the files that the user added, one sentence each."""
        return [
            f"{name} stays in the bundle: the model it was made from has not changed."
            if fits
            else f"{name} was made from an older model and goes with it; make it again (README.md)."
            for name, fits in self._added(files, additions or {}).items()
        ]

    def _kept(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise OutputError(
                f"Cannot keep {self.path / name}: {error.strerror}.", hint=_MOVE_OR_RENAME
            ) from error

    def _added(self, files: Mapping[str, bytes], additions: Mapping[str, str]) -> dict[str, bool]:
        """The files the user added, and whether each fits the new bundle."""
        if self.old is None:
            return {}
        return {
            name: additions.get(name) == source
            and source in files
            and hashlib.sha256(files[source]).hexdigest() == self.old.sha256(source)
            for name, source in self.old.additions.items()
            if name not in files and (self.path / name).is_file()
        }


@contextmanager
def claim(path: Path) -> Iterator[Claim]:
    """Reserve a folder for one build, until the block ends.

    Raises:
        OutputError: not ours to replace, claimed by another build, or not writable.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the last symlink
    _replaceable(path)
    with reserve(path):
        yield Claim(path, _replaceable(path))


def write_bundle(
    path: Path,
    files: Mapping[str, bytes],
    *,
    provenance: Mapping[str, Any],
    report: Mapping[str, Any] | None = None,
    additions: Mapping[str, str] | None = None,
) -> Path:
    """Claim a folder and write a bundle into it, for callers that have everything ready."""
    with claim(path) as target:
        return target.write(files, provenance=provenance, report=report, additions=additions)


def _manifest(
    files: Mapping[str, bytes], provenance: Mapping[str, Any], additions: Mapping[str, str]
) -> dict[str, Any]:
    """What `manifest.json` says: each file's size and SHA-256, and where everything came from."""
    entries = [
        {"path": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
    ]
    return {
        "format": _FORMAT,
        "edgekit": __version__,
        "files": entries,
        "additions": dict(additions),
        "provenance": dict(provenance),
    }


def _json_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise InputError(f"Cannot read {file}: {error.strerror}.") from error
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{file} is damaged: it does not hold a JSON object.")
    return value


def _is_well_formed(manifest: Mapping[str, Any]) -> bool:
    """Whether code that relies on the manifest's form can."""
    files, additions = manifest.get("files"), manifest.get("additions", {})
    if not isinstance(files, list) or not all(map(_is_entry, files)):
        return False
    listed = {entry["path"] for entry in files}
    return (
        isinstance(manifest.get("provenance"), dict)
        and isinstance(additions, dict)
        and all(is_inside(name) for name in additions)
        and all(isinstance(source, str) and source in listed for source in additions.values())
    )


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("path"), str)
        and is_inside(entry["path"])
        and isinstance(entry.get("bytes"), int)
        and entry["bytes"] >= 0
        and isinstance(entry.get("sha256"), str)
    )


def _files(folder: Path) -> Iterator[str]:
    """The paths in a folder, links included; one by one, for it may be the whole disk."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not path.is_dir():
            yield path.relative_to(folder).as_posix()


def _replaceable(path: Path) -> Bundle | None:
    """The bundle in a folder that may be replaced; None if nothing is there.

    Raises:
        OutputError: the folder holds anything that edgekit did not write or ask for.
    """
    if not path.exists() and not path.is_symlink():
        return None
    if path.is_symlink() or not path.is_dir():
        raise OutputError(f"{path} is not a folder.", hint="Name another output folder.")
    if next(_files(path), None) is None:
        return None
    try:
        own = read_bundle(path)
    except InputError as error:
        raise OutputError(
            f"{path} has content that edgekit did not write.",
            hint="edgekit deletes nothing of yours: name another output folder.",
        ) from error
    strange = sorted({*_files(path)} - {*own.names, *own.additions, MANIFEST, REPORT})
    if strange:
        raise OutputError(
            f"The bundle in {path} holds files that are not edgekit's: {', '.join(strange[:5])}.",
            hint=_MOVE_OR_RENAME,
        )
    changed = [name for name in own.names if own.is_changed(name)]
    if changed:
        raise OutputError(
            f"Files in the bundle {path} were changed after edgekit wrote them: "
            f"{', '.join(changed[:5])}.",
            hint=_MOVE_OR_RENAME,
        )
    return own
