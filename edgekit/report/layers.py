"""Where int8 hurts, as a person reads it: a table of layers, then the suspects in words.

The report's sections enter as plain values; a rich renderable leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def layers(report: Mapping[str, Any]) -> RenderableType:
    """The table and the suspects of a report that has them."""
    table = Table(title="int8 against float, layer by layer", title_justify="left", box=None)
    table.add_column("layer", overflow="fold")
    table.add_column("op")
    for column in ("alone, dB", "piled up, dB", "covers", "seen", "clipped, %"):
        table.add_column(column, justify="right")
    table.add_column("outlier channels")
    for layer in report["layers"]:
        table.add_row(
            Text(layer["name"]),
            layer["op"],
            _decibels(layer["isolated_db"]),
            _decibels(layer["accumulated_db"]),
            f"{layer['low']:.3g} .. {layer['high']:.3g}",
            f"{layer['seen_low']:.3g} .. {layer['seen_high']:.3g}",
            f"{layer['clipped']:.3f}",
            ", ".join(f"{channel} (x{ratio:.0f})" for channel, ratio in layer["outliers"]),
        )
    return Group(table, *(Text(f"suspect: {sentence}") for sentence in report["suspects"]))


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f}"
