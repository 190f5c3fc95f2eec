"""Changes to plain values (what JSON holds) that leave them plain: other numbers, types, names."""

from __future__ import annotations

import random
from typing import Any

_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2, 255, 128, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan")),
    *(float("inf"), "", "x", "..", "../../x", "/etc/passwd", "a/b", "\0", "RGB", "\x1b[2J", "é"),
    *([], {}, [1], [[]], {"a": 1}, [1.0, 2.0, 3.0], ["a", None]),
)


def mutate(value: Any, rng: random.Random) -> Any:
    """A copy with one to three changes."""
    for _ in range(rng.randint(1, 3)):
        value = _changed(value, rng)
    return value


def _changed(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return _other(value, rng)
    if isinstance(value, list):
        out, at, kind = list(value), rng.randrange(len(value)), rng.randrange(4)
        if kind == 0:
            del out[at]
        elif kind == 1:
            out.insert(at, out[rng.randrange(len(out))])
        else:
            out[at] = _changed(out[at], rng)
        return out
    key, kind = rng.choice(list(value)), rng.randrange(6)
    if kind == 0:
        return {name: part for name, part in value.items() if name != key}
    if kind == 1:
        return {**value, rng.choice(["", "x", key + "_", ".."]): rng.choice(_VALUES)}
    return {**value, key: _changed(value[key], rng)}


def _other(value: Any, rng: random.Random) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.5:
        return rng.choice([value + 1, value - 1, -value, value * 1000, value / 3])
    return rng.choice(_VALUES)
