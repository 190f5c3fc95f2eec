"""The backends by name: every module of this package that has a `BACKEND`.

A name enters, the backend leaves; only its module is imported. Refused: other names, with "did you
mean".
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import edgekit.backends as package
from edgekit.backends.base import Backend
from edgekit.errors import unknown_name

_NO_BACKENDS = {"base", "firmware", "python_bundle", "registry"}


def names() -> list[str]:
    """The names of all backends, sorted."""
    return sorted({module.name for module in iter_modules(package.__path__)} - _NO_BACKENDS)


def get(name: str) -> Backend:
    """The backend of that name.

    Raises:
        UsageError: no such backend.
    """
    if name not in names():
        raise unknown_name("target", name, names())
    backend: Backend = import_module(f"edgekit.backends.{name}").BACKEND
    return backend
