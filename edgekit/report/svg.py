"""A very small SVG writer: shapes in, one deterministic string out.

Text is escaped, characters that XML cannot hold are replaced, and numbers have at most one decimal.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

Value = str | float


class Svg:
    """Collects elements; an attribute given as `class_` or `text_anchor` loses its underscores."""

    def __init__(self, width: float, height: float, label: str, style: str) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_plain(width)}" '
            f'height="{_plain(height)}" viewBox="0 0 {_plain(width)} {_plain(height)}" '
            f'role="img" aria-label={quoteattr(_printable(label))}>',
            f"<style>{style}</style>",
        ]

    def rectangle(
        self, x: float, y: float, width: float, height: float, *, tip: str = "", **attributes: Value
    ) -> None:
        """A rectangle; `tip` is shown when the pointer rests on it."""
        place = {"x": x, "y": y, "width": max(width, 0), "height": max(height, 0)}
        inner = f"<title>{escape(_printable(tip))}</title>" if tip else ""
        self._add("rect", {**place, **attributes}, inner)

    def line(self, x1: float, y1: float, x2: float, y2: float, **attributes: Value) -> None:
        """A straight line."""
        self._add("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, **attributes})

    def text(self, x: float, y: float, content: str, **attributes: Value) -> None:
        """One line of text, its baseline at y."""
        self._add("text", {"x": x, "y": y, **attributes}, escape(_printable(content)))

    def raw(self, element: str) -> None:
        """An element written out by the caller: a pattern, a group's beginning or end."""
        self._parts.append(element)

    def finish(self) -> str:
        """The document."""
        return "\n".join([*self._parts, "</svg>", ""])

    def _add(self, name: str, attributes: Mapping[str, Value], inner: str = "") -> None:
        pairs = " ".join(
            f"{key.rstrip('_').replace('_', '-')}={quoteattr(_plain(value))}"
            for key, value in attributes.items()
        )
        self._parts.append(f"<{name} {pairs}>{inner}</{name}>" if inner else f"<{name} {pairs}/>")


def _plain(value: Value) -> str:
    if isinstance(value, str):
        return _printable(value)
    return f"{value:.1f}".removesuffix(".0")


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
