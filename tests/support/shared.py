"""Real models that are not part of the repository.

They are looked for in the folder `$EDGEKIT_SHARED`, else in `shared` beside the repository; tests
that need one that is missing are skipped, naming it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2].parent / "shared"


def shared_file(name: str) -> bytes:
    """The bytes of a shared file, by its path in the folder; skips the test if it is missing."""
    path = Path(os.environ.get("EDGEKIT_SHARED") or _BESIDE) / name
    if not path.is_file():
        pytest.skip(f"missing real model {name} (set EDGEKIT_SHARED to its folder)")
    return path.read_bytes()
