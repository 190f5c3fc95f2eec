"""The memory plan as a picture: what lies where in the arena while which operator runs.

A graph and its `ArenaPlan` enter; an SVG leaves. From left to right the operators in execution
order, from the bottom up the bytes of the arena; each tensor is a rectangle at its place over its
life. Self-contained, the same for the same plan, readable on light and dark backgrounds.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.graph.ir import Graph
from edgekit.plan.arena import ArenaPlan, PlacedBuffer
from edgekit.plan.names import short_name
from edgekit.report.svg import Svg

_TOP, _LEFT, _PLOT_HEIGHT, _LABELS = 84, 78, 380, 156
_LEGEND, _GAP, _MARGIN = 268, 26, 24
_LEAST_PLOT_WIDTH, _LEAST_COLUMN = 660, 11
_COLORS = ("#5b8fd6", "#f0a04b", "#5fb26b", "#c586c0", "#e5706e", "#4fb3b3")
_CHARACTER = 6.3  # width of a character at 11 pixels, on the wide side
_TELLING = 10  # characters of a name that say more than nothing
# Board RAM beyond this many times the arena is said in words, as its line would flatten the rest.
_FAR = 1.3
_STYLE = (
    "svg{font:11px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;"
    "--paper:#fff;--ink:#1b2430;--soft:#5c6876;--grid:#e4e8ee;--rest:#b9c4d1;--peak:#d1344b}"
    "@media(prefers-color-scheme:dark){svg{--paper:#11161d;--ink:#e6ebf2;--soft:#98a4b3;"
    "--grid:#262e39;--rest:#5d6b7b;--peak:#ff7b8a}}"
    ".paper{fill:var(--paper)}.ink{fill:var(--ink)}.soft{fill:var(--soft)}"
    ".rest{fill:var(--rest)}.grid{stroke:var(--grid)}.peak{fill:var(--peak)}"
    ".mark{stroke:var(--peak);stroke-width:1.5;stroke-dasharray:5 3}"
    ".edge{stroke:var(--paper);stroke-width:1}.stripe{stroke:var(--soft);stroke-width:1.4}"
    ".inside{fill:#10151c}.title{font-size:18px;font-weight:600}.strong{font-weight:600}"
)
_STRIPES = (
    '<defs><pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)"><rect width="6" height="6" class="rest" opacity="0.35"/>'
    '<line x1="0" y1="0" x2="0" y2="6" class="stripe"/></pattern></defs>'
)


@dataclass(frozen=True)
class _Scale:
    """Steps and bytes to pixels."""

    column: float
    steps: int
    top_bytes: int

    @property
    def width(self) -> float:
        return self.column * self.steps

    def x(self, step: float) -> float:
        return _LEFT + self.column * step

    def y(self, size_bytes: float) -> float:
        return _TOP + _PLOT_HEIGHT * (1 - size_bytes / self.top_bytes)


def waterfall(
    graph: Graph,
    plan: ArenaPlan,
    *,
    title: str,
    ram_bytes: int | None = None,
    unplanned: ArenaPlan | None = None,
) -> str:
    """The picture as an SVG document.

    Args:
        graph: names the operators.
        plan: of that graph.
        title: the model's name.
        ram_bytes: what the board has, None if unknown.
        unplanned: what TFLM's own planner makes of the graph, to say what the plan saves.
    """
    steps = len(graph.nodes) + 1
    near = ram_bytes if ram_bytes and ram_bytes <= _FAR * plan.arena_bytes else 0
    column = max(_LEAST_COLUMN, _LEAST_PLOT_WIDTH / steps)
    scale = _Scale(column, steps, max(plan.arena_bytes, near, 1))
    width = _LEFT + scale.width + _GAP + _LEGEND
    svg = Svg(width, _TOP + _PLOT_HEIGHT + _LABELS, f"Memory plan of {title}", _STYLE)
    svg.raw(_STRIPES)
    svg.rectangle(0, 0, width, _TOP + _PLOT_HEIGHT + _LABELS, class_="paper")
    svg.text(_MARGIN, 34, _shortened(title, 0.6 * width), class_="ink title")
    svg.text(_MARGIN, 54, _summary(plan, ram_bytes, unplanned), class_="soft", font_size=12)
    colors = _colors(plan)
    _grid(svg, scale)
    _operators(svg, scale, graph)
    if plan.persistent_bytes:
        _structures(svg, scale, graph, plan)
    _peak(svg, scale, graph, plan)
    for buffer in plan.buffers:
        _buffer(svg, scale, buffer, colors.get(buffer.name))
    if near:
        _board(svg, scale, graph, plan, near)
    _legend(svg, _LEFT + scale.width + _GAP, plan, colors)
    return svg.finish()


def _summary(plan: ArenaPlan, ram_bytes: int | None, unplanned: ArenaPlan | None) -> str:
    said = [f"Arena {plan.arena_bytes:,} bytes"]
    if unplanned and (saved := unplanned.arena_bytes - plan.arena_bytes) > 0:
        said.append(f"{saved:,} fewer than TFLite Micro's own plan")
    if ram_bytes:
        said.append(f"{plan.arena_bytes / ram_bytes:.0%} of the board's {ram_bytes:,} bytes of RAM")
    return ", ".join(said)


def _colors(plan: ArenaPlan) -> dict[str, str]:
    """A color for each of the largest tensors, by name."""
    tensors = [buffer for buffer in plan.buffers if not buffer.is_scratch]
    largest = sorted(tensors, key=lambda b: (-b.size_bytes, b.first))[: len(_COLORS)]
    return {b.name: color for b, color in zip(largest, _COLORS, strict=False)}


def _grid(svg: Svg, scale: _Scale) -> None:
    """Lines at round numbers of bytes, at most eight."""
    step = 16
    while scale.top_bytes / step > 8:
        step *= 2
    for size_bytes in range(0, scale.top_bytes + 1, step):
        y = scale.y(size_bytes)
        svg.line(_LEFT, y, _LEFT + scale.width, y, class_="grid")
        svg.text(_LEFT - 8, y + 4, _round_size(size_bytes), class_="soft", text_anchor="end")


def _operators(svg: Svg, scale: _Scale, graph: Graph) -> None:
    """The names under the columns, written upwards."""
    names = ["input", *(node.op.tflite_name.lower() for node in graph.nodes)]
    y = _TOP + _PLOT_HEIGHT + 8
    for step, name in enumerate(names):
        x = scale.x(step + 0.5) + 4
        label = f"{step} {_shortened(name, _LABELS - 36)}" if step else name
        turn = f"rotate(-90 {x:.1f} {y})"
        svg.text(x, y, label, class_="soft", text_anchor="end", transform=turn)


def _structures(svg: Svg, scale: _Scale, graph: Graph, plan: ArenaPlan) -> None:
    """What TFLM keeps at the arena's end; its name stands where the peak is not."""
    top, bottom = scale.y(plan.arena_bytes), scale.y(plan.arena_bytes - plan.persistent_bytes)
    tip = f"TFLite Micro's structures and kernel data: {plan.persistent_bytes:,} bytes"
    svg.rectangle(_LEFT, top, scale.width, bottom - top, tip=tip, class_="rest", opacity=0.3)
    if bottom - top >= 14:
        x, anchor = _beside_the_peak(scale, graph, plan)
        name, y = "structures and kernel data", (top + bottom) / 2 + 4
        svg.text(x, y, name, class_="soft", text_anchor=anchor)


def _buffer(svg: Svg, scale: _Scale, buffer: PlacedBuffer, color: str | None) -> None:
    x, width = scale.x(buffer.first), scale.column * (buffer.last - buffer.first + 1)
    y, height = scale.y(buffer.end), scale.y(buffer.offset) - scale.y(buffer.end)
    what = f"scratch of {buffer.name}" if buffer.is_scratch else buffer.name
    tip = f"{what}: {buffer.size_bytes:,} bytes at {buffer.offset:,}"
    if buffer.is_scratch:
        svg.rectangle(x, y, width, height, tip=tip, class_="edge", fill="url(#stripes)")
        return
    if color:
        svg.rectangle(x, y, width, height, tip=tip, class_="edge", fill=color, rx=2)
    else:
        svg.rectangle(x, y, width, height, tip=tip, class_="rest edge", rx=2)
    name = short_name(buffer.name)
    short = _shortened(name, width - 8)
    if height >= 15 and (short == name or len(short) >= _TELLING):
        svg.text(x + 5, y + height / 2 + 4, short, class_="inside" if color else "ink")


def _peak(svg: Svg, scale: _Scale, graph: Graph, plan: ArenaPlan) -> None:
    """The column with most bytes and its name above; drawn under the tensors."""
    step = _peak_step(graph, plan)
    x = scale.x(step)
    svg.rectangle(x, _TOP, scale.column, _PLOT_HEIGHT, class_="peak", opacity=0.16)
    for edge in (x, x + scale.column):
        svg.line(edge, _TOP - 2, edge, _TOP + _PLOT_HEIGHT, class_="mark")
    operator = graph.nodes[step - 1].op.tflite_name.lower() if step else "input"
    label = f"peak: {plan.peak_bytes:,} bytes at {step} {operator}"
    right = x > _LEFT + scale.width / 2
    anchor, at = ("end", x + scale.column) if right else ("start", x)
    svg.text(at, _TOP - 8, label, class_="peak strong", text_anchor=anchor)


def _beside_the_peak(scale: _Scale, graph: Graph, plan: ArenaPlan) -> tuple[float, str]:
    """(x, anchor) at the end of the plot that is farther from the peak."""
    left = _peak_step(graph, plan) > len(graph.nodes) / 2
    return (_LEFT + 8, "start") if left else (_LEFT + scale.width - 8, "end")


def _peak_step(graph: Graph, plan: ArenaPlan) -> int:
    return next((i for i, n in enumerate(graph.nodes, 1) if n.name == plan.peak_node), 0)


def _board(svg: Svg, scale: _Scale, graph: Graph, plan: ArenaPlan, ram_bytes: int) -> None:
    y = scale.y(ram_bytes)
    x, anchor = _beside_the_peak(scale, graph, plan)
    svg.line(_LEFT, y, _LEFT + scale.width, y, class_="mark")
    svg.text(x, y + 14, f"board RAM {ram_bytes:,} bytes", class_="peak", text_anchor=anchor)


def _legend(svg: Svg, x: float, plan: ArenaPlan, colors: dict[str, str]) -> None:
    sizes = {b.name: b.size_bytes for b in plan.buffers if not b.is_scratch}
    y = _heading(svg, x, _TOP + 4, "Largest tensors")
    for name, color in colors.items():
        svg.rectangle(x, y - 10, 12, 12, fill=color, rx=2)
        svg.text(x + 20, y, _shortened(short_name(name), _LEGEND - 112), class_="ink")
        _amount(svg, x, y, sizes[name])
        y += 20
    svg.rectangle(x, y - 10, 12, 12, class_="rest", rx=2)
    svg.text(x + 20, y, "other tensors", class_="soft")
    if any(buffer.is_scratch for buffer in plan.buffers):
        y += 20
        svg.rectangle(x, y - 10, 12, 12, fill="url(#stripes)")
        svg.text(x + 20, y, "scratch of a kernel", class_="soft")
    y = _heading(svg, x, y + 34, "Bytes")
    rows = {"activations and scratch": plan.activations_bytes}
    if plan.persistent_bytes:
        rows["structures and kernel data"] = plan.persistent_bytes
    rows["arena"] = plan.arena_bytes
    spare = plan.arena_bytes - plan.activations_bytes - plan.persistent_bytes
    if spare > 0:
        rows = {**rows, "of it only while setting up": spare}
    for name, size_bytes in rows.items():
        svg.text(x, y, name, class_="ink")
        _amount(svg, x, y, size_bytes)
        y += 20


def _heading(svg: Svg, x: float, y: float, content: str) -> float:
    """A line of the legend in bold; returns where the next one stands."""
    svg.text(x, y, content, class_="ink strong", font_size=12)
    return y + 22


def _amount(svg: Svg, x: float, y: float, size_bytes: int) -> None:
    right = x + _LEGEND - _MARGIN
    svg.text(right, y, f"{size_bytes:,}", class_="ink", text_anchor="end")


def _round_size(size_bytes: int) -> str:
    whole = size_bytes and size_bytes % 1024 == 0
    return f"{size_bytes // 1024:,} KiB" if whole else f"{size_bytes:,}"


def _shortened(content: str, width: float) -> str:
    """As much of a text as fits, by an estimate."""
    room = int(width / _CHARACTER)
    return content if len(content) <= room else content[: max(0, room - 1)] + "…"
