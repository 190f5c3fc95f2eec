"""The `edgekit` command that gets a signal at given points: no test has to wait for the moment.

    python interrupted.py SIGTERM edgekit.pipeline:to_integers build --model ...

Each point, of several joined by commas, is a function: when it is called for the first time, the
process sends itself the signal, as `kill` would, and then goes on into the function.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import wraps
from pkgutil import resolve_name
from typing import Any

from edgekit.cli.main import main


def interrupt_at(point: str, number: int) -> None:
    """Replace a function, `module:name` or `module:class.name`, by one that sends a signal."""
    place, _, name = point.replace(":", ".").rpartition(".")
    owner: Any = resolve_name(place)
    function = getattr(owner, name)
    calls: list[None] = []

    @wraps(function)
    def interrupted(*args: Any, **options: Any) -> Any:
        if not calls:
            calls.append(None)
            os.kill(os.getpid(), number)
        return function(*args, **options)

    setattr(owner, name, interrupted)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run may be in the background
    for named in sys.argv[2].split(","):
        interrupt_at(named, signal.Signals[sys.argv[1]])
    main(sys.argv[3:])
