"""The family as a picture: each multiplier's models as a line over their MACs, four small plots.

What `analysis.sweep` found enters; an SVG leaves, the same for the same points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log10
from typing import Any

from edgekit.report.svg import Svg

Plain = Mapping[str, Any]

_WIDTH, _HEIGHT, _MARGIN, _GAP = 420, 240, 64, 24
_PLOTS = (
    ("params", "parameters"),
    ("macs", "MACs"),
    ("int8_bytes", "int8 model, bytes"),
    ("arena_bytes", "arena, bytes"),
)
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b2733 }
.title { font-size: 13px; font-weight: 600 } .muted { fill: #5b6875 }
svg { background: #fff } line.grid { stroke: #dfe5eb }
@media (prefers-color-scheme: dark) {
  svg { background: #10161c } text { fill: #e6ebf0 } .muted { fill: #98a5b3 }
  line.grid { stroke: #2a343f }
}
"""
_COLOURS = ("#2463c5", "#c2571a", "#2b8a56", "#8b46b8", "#b8901d", "#c23b63")


def sweep_plot(points: Sequence[Plain]) -> str:
    """Each value over the resolution, one line a width; the values' axis is logarithmic."""
    title = f"{points[0]['arch']}: what the multipliers cost"
    svg = Svg(2 * _WIDTH + _GAP, 2 * _HEIGHT + 60, title, _STYLE)
    svg.text(12, 22, title, class_="title")
    alphas = sorted({point["alpha"] for point in points}, reverse=True)
    for index, alpha in enumerate(alphas):
        x = 330 + 96 * index
        svg.line(x, 18, x + 18, 18, stroke=_colour(index), stroke_width=3)
        svg.text(x + 24, 22, f"alpha {alpha:g}")
    for index, (key, label) in enumerate(_PLOTS):
        left = index % 2 * (_WIDTH + _GAP)
        _plot(svg, points, alphas, key, label, left, 40 + index // 2 * _HEIGHT)
    return svg.finish()


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _plot(
    svg: Svg,
    points: Sequence[Plain],
    alphas: Sequence[float],
    key: str,
    label: str,
    left: float,
    top: float,
) -> None:
    sizes = sorted({point["resolution"] for point in points})
    low, high = (log10(f(point[key] for point in points)) for f in (min, max))
    low, high = low - 0.05, high + 0.05
    inner_width, inner_height = _WIDTH - _MARGIN - 12, _HEIGHT - 60

    def x(size: int) -> float:
        span = sizes[-1] - sizes[0]
        return left + _MARGIN + inner_width * ((size - sizes[0]) / span if span else 0.5)

    def y(value: float) -> float:
        return top + 20 + inner_height * (high - log10(value)) / (high - low)

    svg.text(left + _MARGIN, top + 12, label, class_="title")
    for exponent in range(int(low) - 1, int(high) + 2):
        for value in (10**exponent, 3 * 10**exponent):
            if low <= log10(value) <= high:
                svg.line(left + _MARGIN, y(value), left + _WIDTH - 12, y(value), class_="grid")
                svg.text(left + _MARGIN - 6, y(value) + 4, _short(value), text_anchor="end")
    for size in sizes:
        svg.text(x(size), top + _HEIGHT - 22, str(size), text_anchor="middle", class_="muted")
    for index, alpha in enumerate(alphas):
        line = sorted(
            (point["resolution"], point[key]) for point in points if point["alpha"] == alpha
        )
        places = [(x(size), y(value)) for size, value in line]
        for (x1, y1), (x2, y2) in pairwise(places):
            svg.line(x1, y1, x2, y2, stroke=_colour(index), stroke_width=2)
        for (size, value), (at_x, at_y) in zip(line, places, strict=True):
            tip = f"alpha {alpha:g} at {size}: {value:,}"
            svg.rectangle(at_x - 3, at_y - 3, 6, 6, tip=tip, fill=_colour(index))


def _short(value: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g} {name}"
    return f"{value:g}"
