"""Bundles on disk for tests, and the generated run.py as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from edgekit.backends import registry
from edgekit.backends.base import Deployment
from edgekit.emit.bundle import write_bundle


def written(folder: Path, made: Deployment) -> Path:
    """The bundle of a deployment in a folder, for its board's most usual backend."""
    return written_for(made.board.backends[0], folder, made)


def written_for(target: str, folder: Path, made: Deployment) -> Path:
    """The same for a backend."""
    backend = registry.get(target)
    files = backend.files(made)
    return write_bundle(folder, files, provenance=made.provenance, additions=backend.additions)


def run_py(folder: Path, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """`python run.py ARGUMENTS` of a bundle."""
    command = [sys.executable, folder / "run.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
