"""The command line as a user runs it: in a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    code: int
    out: str
    err: str


def edgekit(*args: str | Path, cwd: Path, cache: Path) -> Outcome:
    """Run `edgekit ARGS` in `cwd`, with its checkpoints in `cache`."""
    command = [sys.executable, "-m", "edgekit", *map(str, args)]
    env = {**os.environ, "EDGEKIT_CACHE": str(cache), "COLUMNS": "100"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    return Outcome(done.returncode, done.stdout, done.stderr)
