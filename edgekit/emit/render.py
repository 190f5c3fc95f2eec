"""Templates to text: Jinja2 over `firmware_templates/`, strict about what is missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgekit.emit import c_array, text
from edgekit.resources import templates_dir


def render(template: str, values: Mapping[str, Any]) -> bytes:
    """The template under `firmware_templates/` filled in, as UTF-8.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not given.
    """
    return _environment().get_template(template).render(values).encode()


def to_json(value: Any) -> bytes:
    """JSON as all of edgekit's files have it: sorted keys, two blanks, a newline at the end."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates_dir()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters["c_bytes"] = c_array.hex_bytes
    environment.filters["c_number"] = c_array.literal
    environment.filters["c_numbers"] = c_array.numbers
    environment.filters["c_string"] = text.c_string
    environment.filters["plain"] = text.plain
    environment.filters["python"] = text.python_string
    return environment
