"""Which layers can lose channels, as a table and as a picture.

What `stages.sensitivity` found enters, plain values; a rich table or an SVG leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgekit.report.svg import Svg

_NAMES, _BARS, _ROW, _BAR, _TOP = 300, 420, 24, 5, 58
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b2733 }
.title { font-size: 13px; font-weight: 600 } .muted { fill: #5b6875 }
svg { background: #fff } line.grid { stroke: #dfe5eb } line.whole { stroke: #b3402a }
rect.share0 { fill: #b9cdec } rect.share1 { fill: #6f9be0 } rect.share2 { fill: #2463c5 }
@media (prefers-color-scheme: dark) {
  svg { background: #10161c } text { fill: #e6ebf0 } .muted { fill: #98a5b3 }
  line.grid { stroke: #2a343f } line.whole { stroke: #ff8f75 }
  rect.share0 { fill: #33475f } rect.share1 { fill: #4f75ad } rect.share2 { fill: #7fb0ff }
}
"""


def table(found: Mapping[str, Any]) -> RenderableType:
    """A row for each group of channels."""
    rows = Table(
        title=f"{found['network']}: top-1 in % on {found['images']:,} {found['split']} images "
        f"without a share of one layer's channels; whole {found['whole']:.1f} "
        f"(standard error {found['standard_error']:.1f}), not trained further",
        title_justify="left",
        box=None,
    )
    rows.add_column("layer", overflow="fold")
    rows.add_column("channels", justify="right")
    for share in found["shares"]:
        rows.add_column(f"-{100 * share:.0f} %", justify="right")
    rows.add_column(f"parameters at -{100 * found['shares'][-1]:.0f} %", justify="right")
    for layer in found["layers"]:
        rows.add_row(
            Text(_name(layer)),
            f"{layer['channels']:,}",
            *(f"{top1:.1f}" for top1 in layer["top1"]),
            f"-{layer['parameters'][-1]:,}",
        )
    return Group(rows, *(Text(f"note: {note}") for note in found["warnings"]))


def plot(found: Mapping[str, Any]) -> str:
    """A bar for each share, for each group of channels; the line is the whole network."""
    height = _TOP + _ROW * len(found["layers"]) + 12
    title = f"{found['network']}: top-1 without a share of one layer's channels, %"
    svg = Svg(_NAMES + _BARS + 60, height, title, _STYLE)
    svg.text(12, 20, title, class_="title")
    for index, share in enumerate(found["shares"]):
        svg.rectangle(_NAMES + 90 * index, 28, 10, 8, class_=f"share{index}")
        svg.text(_NAMES + 90 * index + 16, 36, f"-{100 * share:.0f} %", class_="muted")
    for percent in range(0, 101, 20):
        x = _NAMES + _BARS * percent / 100
        svg.line(x, _TOP - 4, x, height - 8, class_="grid")
        svg.text(x, _TOP - 8, str(percent), text_anchor="middle", class_="muted")
    for index, layer in enumerate(found["layers"]):
        _row(svg, layer, _TOP + _ROW * index)
    x = _NAMES + _BARS * found["whole"] / 100
    svg.line(x, _TOP - 4, x, height - 8, class_="whole")
    return svg.finish()


def _row(svg: Svg, layer: Mapping[str, Any], y: float) -> None:
    name = _name(layer)
    svg.text(_NAMES - 8, y + 14, name[-44:], text_anchor="end")
    for index, top1 in enumerate(layer["top1"]):
        length = _BARS * top1 / 100
        tip = f"{name}: {top1:.1f} %"
        svg.rectangle(_NAMES, y + 2 + 6 * index, length, _BAR, tip=tip, class_=f"share{index}")


def _name(layer: Mapping[str, Any]) -> str:
    first, *others = layer["layers"]
    return f"{first} +{len(others)}" if others else str(first)
