"""What every failing command owes its user: one clear error, its exit code, nothing touched."""

from __future__ import annotations

import hashlib
from pathlib import Path

from support.cli import Outcome


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder by path, hidden ones included; folders are empty."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(folder.rglob("*"))
    }


def assert_one_error(outcome: Outcome, code: int, said: str = "") -> None:
    """The exit code, and one error that says it; neither a traceback nor a warning of Python's."""
    assert outcome.code == code, f"exit {outcome.code}\n{outcome.err}"
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith(("edgekit: error:", "Error:"))]
    assert len(errors) == 1, outcome.err
    assert said in outcome.err, outcome.err
    assert "Traceback" not in outcome.err and "Warning:" not in outcome.err, outcome.err
    assert "Traceback" not in outcome.out
