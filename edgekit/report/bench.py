"""What a firmware takes of its chip, as a person reads it: facts, then a table of layers.

Enter the plain values that `edgekit bench --json` prints; leaves a rich renderable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Plain = Mapping[str, Any]


def bench(report: Plain) -> RenderableType:
    """All that `edgekit bench` prints."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("model", report["model"])
    facts.add_row("results", _exact(report))
    facts.add_row("chip", f"{report['core']} of {report['board']}, {report['emulator']}")
    for name, value in program_rows(report):
        facts.add_row(name, value)
    return Group(facts, Text(), layer_counts(report["layers"]))


def program_rows(run: Plain) -> Iterator[tuple[str, RenderableType]]:
    """Compiler, instructions and memory of a run on a chip."""
    yield "compiler", f"{run['compiler']}  {run['flags']}"
    computed, count = run["macs_computed"], run["instructions"]
    per = f", {computed / count:.3f} MACs each" if count else ""
    given = f" of the model's {run['macs']:,}" if computed != run["macs"] else ""
    yield "instructions", f"{count:,} an inference for {computed:,} MACs{given}{per}"
    yield "arena", f"{run['arena_bytes']:,} bytes planned, {run['arena_used_bytes']:,} written"
    yield (
        "stack",
        f"{run['stack_bytes']:,} bytes at its deepest of {run['stack_reserved_bytes']:,} set apart",
    )
    yield "flash", f"code {run['code_bytes']:,} bytes, weights {run['weights_bytes']:,}"


def layer_counts(layers: Sequence[Plain]) -> Table:
    """One row a layer."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    headers = ("layer", "kernel", "MACs", "instructions", "share", "MACs each", "predicted")
    for header in headers:
        table.add_column(header, justify="left" if header == "kernel" else "right", no_wrap=True)
    total = sum(layer["instructions"] for layer in layers) or 1
    for layer in layers:
        count = layer["instructions"]
        table.add_row(
            str(layer["index"]),
            layer["kernel"] or Text(f"{layer['op']}, a view", style="dim"),
            f"{layer['macs']:,}",
            f"{count:,}",
            f"{100 * count / total:.1f} %",
            f"{layer['macs'] / count:.2f}" if layer["macs"] and count else "",
            _predicted(layer),
        )
    return table


def _predicted(layer: Plain) -> str:
    """By how much the cost table's estimate misses what was counted."""
    predicted, count = layer["predicted"], layer["instructions"]
    if predicted is None:
        return "not known"
    return f"{100 * (predicted / count - 1):+.1f} %" if count else ""


def _exact(report: Plain) -> Text:
    asked = " and ".join(report["compared_with"])
    note = f" (not compared: {report['not_compared']})" if report["not_compared"] else ""
    many = f"{report['samples']:,} random inputs"
    if report["bit_exact"]:
        return Text(f"equal to the bit with {asked} on {many}{note}", style="green")
    return Text(f"NOT those of {asked} on {many}{note}", style="bold red")
