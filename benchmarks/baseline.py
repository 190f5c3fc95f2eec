"""What was measured before, by compiler, model and board: read, compared, written anew.

Counts are exact and do not depend on the machine, only on the sources and on the compiler with its
version. What another version of a compiler takes is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).with_name("baseline.json")
# Figure -> the share by which it may grow before the bench fails.
TOLERANCES = {
    "instructions": 0.03,
    "arena_bytes": 0.03,
    "code_bytes": 0.10,
    "weights_bytes": 0.10,
    "stack_bytes": 0.25,
}

Figures = Mapping[str, int]
Baseline = Mapping[str, Mapping[str, Figures]]  # compiler -> "model on board" -> figures


@dataclass(frozen=True)
class Change:
    """A figure that is not what it was.

    Attributes:
        where: "resnet8 on mps2_an386, zig cc 0.13.0".
    """

    where: str
    figure: str
    before: int
    now: int

    @property
    def ratio(self) -> float:
        return self.now / self.before if self.before else float("inf")

    @property
    def fails(self) -> bool:
        return self.ratio > 1 + TOLERANCES[self.figure]

    def __str__(self) -> str:
        share = 100 * (self.ratio - 1)
        name = self.figure.replace("_", " ")
        return f"{self.where}: {name} {self.before:,} -> {self.now:,} ({share:+.2f} %)"


def read() -> Baseline:
    return json.loads(PATH.read_text("utf-8")) if PATH.is_file() else {}


def changes(before: Baseline, now: Baseline) -> Iterator[Change]:
    """Every figure that both have and that differs."""
    for compiler, cells in now.items():
        for cell, figures in cells.items():
            old = before.get(compiler, {}).get(cell, {})
            for figure, value in figures.items():
                if old.get(figure, value) != value:
                    yield Change(f"{cell}, {compiler}", figure, old[figure], value)


def write(before: Baseline, now: Baseline) -> None:
    """Put what was measured in place of what was known; one line a cell, for readable diffs."""
    merged = {key: {**before.get(key, {}), **now.get(key, {})} for key in {*before, *now}}
    blocks = []
    for compiler, cells in sorted(merged.items()):
        rows = (f"    {json.dumps(cell)}: {json.dumps(cells[cell])}" for cell in sorted(cells))
        blocks.append(f"  {json.dumps(compiler)}: {{\n" + ",\n".join(rows) + "\n  }")
    PATH.write_text("{\n" + ",\n".join(blocks) + "\n}\n", "utf-8")
