"""The errors edgekit raises on purpose, and the exit code of each kind.

Every error a user can cause is an `EdgekitError`: one sentence that names what is wrong, and a hint
that says what to do about it. The command line catches the base class once, prints both and exits
with `exit_code`. Anything else that escapes is a bug and shows its traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class EdgekitError(Exception):
    """Base of all deliberate errors.

    Args:
        message: what is wrong, in one sentence, naming the file, node or value.
        hint: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EdgekitError):
    """An argument is unknown, out of range, or contradicts another."""

    exit_code = 2


class InputError(EdgekitError):
    """A file or folder given by the user is missing, empty, corrupt or of the wrong shape."""

    exit_code = 3


class UnsupportedError(EdgekitError):
    """A model is well formed but uses something the converter or the target cannot do."""

    exit_code = 4


class DoesNotFitError(EdgekitError):
    """The model needs more RAM or flash than the board has."""

    exit_code = 5


class AccuracyDropError(EdgekitError):
    """int8 costs more accuracy than `--max-drop` allows; the bundle is kept and marked."""

    exit_code = 6


class MissingToolError(EdgekitError):
    """An external program or optional package is needed and not installed."""

    exit_code = 7


class OutputError(EdgekitError):
    """The output cannot be written: full disk, read-only folder, two builds into one folder."""

    exit_code = 8


class VerificationError(EdgekitError):
    """Two things that must agree bit for bit do not."""

    exit_code = 9


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that is not among the known ones, with "did you mean" where one is near.

    Args:
        kind: what the name names, for the message ("architecture", "board").
        name: what the user typed.
        known: the valid names.
    """
    choices = sorted(known)
    near = get_close_matches(name.lower(), choices, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(choices)}."
    return UsageError(f"Unknown {kind} '{name}'.", hint=hint)
