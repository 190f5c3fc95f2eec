"""Builds side by side: what each costs and how well it answers.

Reports of bundles enter, by a name for each; plain values leave, one row a build, or a table for a
person. A value that a report lacks is None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Report = Mapping[str, Any]

_COLUMNS = (
    ("target", "target", "{}"),
    ("int8_top1", "int8 accuracy, %", "{:.2f}"),
    ("drop", "cost of int8, points", "{:+.2f}"),
    ("agreement", "agreement, %", "{:.2f}"),
    ("sqnr_db", "SQNR, dB", "{:.1f}"),
    ("tflite_bytes", "int8 model, bytes", "{:,}"),
    ("arena_bytes", "arena, bytes (predicted)", "{:,}"),
    ("weights_bytes", "weights, bytes", "{:,}"),
    ("macs", "MACs", "{:,}"),
    ("parameters", "parameters", "{:,}"),
    ("instructions", "instructions (estimate)", "{:,}"),
    ("rungs", "repairs", "{}"),
)


def row(name: str, report: Report) -> dict[str, Any]:
    """One build's values.

    Raises:
        LookupError, TypeError: the report lacks a section that every build writes.
    """
    accuracy = report["accuracy"] or {}
    steps = report.get("repair")
    return {
        "name": name,
        "target": f"{report['target']} on {report['board']}",
        "split": accuracy.get("split"),
        "images": accuracy.get("images"),
        "float_top1": accuracy.get("float_top1"),
        "int8_top1": accuracy.get("int8_top1"),
        "int8_interval": accuracy.get("int8_interval"),
        "drop": accuracy.get("drop"),
        "agreement": accuracy.get("agreement"),
        "sqnr_db": accuracy.get("sqnr_db", report["fidelity_db"]),
        "tflite_bytes": report["tflite"]["bytes"],
        "arena_bytes": report["memory"]["arena_bytes"],
        "weights_bytes": report["memory"]["weights_bytes"],
        "macs": report["model"]["macs"],
        "parameters": report["model"]["params"],
        "instructions": (report.get("instructions") or {}).get("estimate"),
        "rungs": None if steps is None else [step["rung"] for step in steps if step["kept"]],
        "layers": {layer["name"]: layer["accumulated_db"] for layer in report.get("layers", ())},
    }


def comparison(rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    """A column for each build; layers only where at least one build was diagnosed."""
    table = _table("", rows)
    for key, title, form in _COLUMNS:
        values = [_shown(row[key], form) for row in rows]
        if any(value != "-" for value in values):
            table.add_row(title, *values)
    parts: list[RenderableType] = [table]
    names = list(dict.fromkeys(name for row in rows for name in row["layers"]))
    if names:
        layers = _table("SQNR piled up at each layer, dB", rows)
        for name in names:
            layers.add_row(Text(name), *(_layer(row["layers"], name) for row in rows))
        parts.append(layers)
    sets = {(row["split"], row["images"]) for row in rows if row["images"] is not None}
    if len(sets) > 1:
        parts.append(Text("The accuracies are of different numbers of pictures.", style="yellow"))
    return Group(*parts)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, padding=(0, 2))
    table.add_column("")
    for row in rows:
        table.add_column(Text(row["name"]), justify="right", overflow="fold")
    return table


def _shown(value: Any, form: str) -> str:
    if value is None:
        return "-"
    return ", ".join(value) if isinstance(value, list) else form.format(value)


def _layer(layers: Mapping[str, float | None], name: str) -> str:
    if name not in layers:
        return "-"
    value = layers[name]
    return "exact" if value is None else f"{value:.1f}"
