"""Where int8 hurts as a picture: for each layer its own noise, and what has piled up.

The report's "layers" section enters; an SVG leaves, the same for the same layers. Longer is better:
bars are signal-to-noise ratios in decibels, and a layer without noise has a full bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.report.svg import Svg

_NAMES, _BARS, _ROW, _TOP = 300, 420, 18, 54
_LONGEST_DB = 60.0
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b2733 }
.title { font-size: 13px; font-weight: 600 } .muted { fill: #5b6875 }
svg { background: #fff } line.grid { stroke: #dfe5eb }
rect.alone { fill: #8fb0e0 } rect.piled { fill: #2463c5 }
@media (prefers-color-scheme: dark) {
  svg { background: #10161c } text { fill: #e6ebf0 } .muted { fill: #98a5b3 }
  line.grid { stroke: #2a343f } rect.alone { fill: #45618c } rect.piled { fill: #7fb0ff }
}
"""


def layers_plot(layers: Sequence[Mapping[str, Any]], title: str) -> str:
    """Two bars a layer: alone (light), and with all layers before it (dark)."""
    height = _TOP + _ROW * len(layers) + 12
    svg = Svg(_NAMES + _BARS + 60, height, f"{title}: noise of int8", _STYLE)
    svg.text(12, 20, f"{title}: SQNR of every layer, dB", class_="title")
    svg.rectangle(_NAMES, 28, 10, 8, class_="alone")
    svg.text(_NAMES + 16, 36, "the layer alone", class_="muted")
    svg.rectangle(_NAMES + 140, 28, 10, 8, class_="piled")
    svg.text(_NAMES + 156, 36, "with all before it", class_="muted")
    for decibels in range(0, int(_LONGEST_DB) + 1, 10):
        x = _NAMES + _length(float(decibels))
        svg.line(x, _TOP - 4, x, height - 8, class_="grid")
        svg.text(x, _TOP - 8, str(decibels), text_anchor="middle", class_="muted")
    for index, layer in enumerate(layers):
        _row(svg, layer, _TOP + _ROW * index)
    return svg.finish()


def _row(svg: Svg, layer: Mapping[str, Any], y: float) -> None:
    name = f"{layer['name']} {layer['op'].lower()}"
    svg.text(_NAMES - 8, y + 12, name[-44:], text_anchor="end")
    for key, offset, kind in (("isolated_db", 2, "alone"), ("accumulated_db", 8, "piled")):
        value = layer[key]
        tip = f"{name}: {'exact' if value is None else f'{value:.1f} dB'}"
        svg.rectangle(_NAMES, y + offset, _length(value), 6, tip=tip, class_=kind)


def _length(decibels: float | None) -> float:
    shown = _LONGEST_DB if decibels is None else min(max(decibels, 0.0), _LONGEST_DB)
    return _BARS * shown / _LONGEST_DB
