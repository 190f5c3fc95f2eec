"""The sole locator of the data that ships with edgekit.

In a checkout the data folders stand at the top level of the repository; in an installed wheel they
stand under `edgekit/_shipped/`. Nothing else in the package builds a path to them.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_SHIPPED = _PACKAGE / "_shipped"


def _root() -> Path:
    return _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent


def targets_dir() -> Path:
    """Folder of the board descriptions, one TOML a board."""
    return _root() / "targets"


def templates_dir() -> Path:
    """Folder of the firmware templates, one folder a backend."""
    return _root() / "firmware_templates"


def calibration_dir() -> Path:
    """Folder of the embedded data set and the manifests of the known ones."""
    return _root() / "calibration"


def downloads_dir() -> Path:
    """Folder of the cache for published weights.

    Raises:
        RuntimeError: as `cache_dir`.
    """
    return cache_dir() / "downloads"


def cache_dir() -> Path:
    """Folder for trained checkpoints and downloads: `$EDGEKIT_CACHE`, else the XDG cache folder.

    Raises:
        RuntimeError: neither is given, and there is no home folder.
    """
    own = os.environ.get("EDGEKIT_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgekit"
