"""How long work tells how far it is (floor 0).

Stages call a `Progress` with (what, done, total); the command line turns it into a bar, scripts and
tests pass `silent`.
"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""
