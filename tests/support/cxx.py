"""The host's C++ compiler for generated code, with stub headers in place of TFLite Micro."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CXX, CMAKE = shutil.which("c++"), shutil.which("cmake")
STRICT = ("-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic", "-fno-exceptions", "-fno-rtti")
STUBS = Path(__file__).resolve().parents[1] / "unit" / "backends" / "tflm_stubs"

needs_compiler = pytest.mark.skipif(CXX is None, reason="no C++ compiler (c++)")


def shell(*command: object, **more: Any) -> str:
    """What a command says; it must end well."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout
