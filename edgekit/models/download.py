"""Files from a server into the cache, known by their SHA-256.

A URL and a digest enter; the path of a file with that digest leaves, from the cache if it was
fetched before. A file is written beside its place and moved there once its digest is right: a
program that is killed, or a server that breaks off, leaves nothing. Refused: what cannot be fetched
(`InputError`), content with another digest (`InputError`), a cache that cannot be written
(`OutputError`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.error import HTTPError
from urllib.request import urlopen

from edgekit.errors import InputError, OutputError
from edgekit.interruption import held_back
from edgekit.progress import Progress, silent

_CHUNK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0


def fetch(url: str, sha256: str, folder: Path, progress: Progress = silent) -> Path:
    """The file at a URL, in `folder` under its own name.

    Args:
        url: http, https or file.
        sha256: the digest in hexadecimal, or its first digits.
        folder: of the cache; it need not exist.
        progress: told the bytes fetched.

    Raises:
        InputError: the file cannot be fetched, or is not the one meant.
        OutputError: the folder cannot be written.
    """
    path = folder / url.rpartition("/")[2]
    if path.is_file() and digest_of(path).startswith(sha256):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            try:
                _save(url, sha256, file, progress)
                file.close()
                with held_back():
                    Path(file.name).replace(path)
            finally:
                Path(file.name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"The download {path} cannot be written: {error.strerror}.",
            hint="Set EDGEKIT_CACHE to a folder with room that can be written.",
        ) from error
    return path


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _save(url: str, sha256: str, file: IO[bytes], progress: Progress) -> None:
    digest = hashlib.sha256()
    for chunk in _received(url, progress):
        digest.update(chunk)
        file.write(chunk)
    if not digest.hexdigest().startswith(sha256):
        raise InputError(
            f"{url} is not the file that was meant: its SHA-256 begins with "
            f"{digest.hexdigest()[: len(sha256)]}, not {sha256}.",
            hint="Something on the way changed it; get the file elsewhere and give it with "
            "--weights FILE.",
        )


def _received(url: str, progress: Progress) -> Iterator[bytes]:
    """The content in pieces; every way in which a network fails becomes one error."""
    done, what = 0, f"download {url.rpartition('/')[2]}"
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            total = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK_BYTES):
                done += len(chunk)
                progress(what, done, max(done, total))
                yield chunk
    except (OSError, HTTPException, ValueError) as error:
        raise _unreachable(url, _reason(error)) from error
    if done < total:
        raise _unreachable(url, f"it broke off after {done:,} of {total:,} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()
        return f"the server answers {error.code}"
    return str(getattr(error, "reason", error)) or type(error).__name__


def _unreachable(url: str, why: str) -> InputError:
    return InputError(
        f"Could not download {url}: {why}.",
        hint="Get the file where there is a network, and give it with --weights FILE.",
    )
