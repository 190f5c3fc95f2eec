"""How engines differ from edgekit's arithmetic, as a person reads it: a table, and a line each.

Enter plain values: the layers (`index`, `op`, `name`, `elements` of one sample) and the outcome of
each engine; leave rich renderables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Plain = Mapping[str, Any]

_NAME_CHARACTERS = 28
_HEADERS = {"tflm": "TFLM", "litert-reference": "LiteRT\nref.", "litert-xnnpack": "XNNPACK"}


def kernels(report: Plain) -> RenderableType:
    """All that `edgekit compare-kernels` prints."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    facts.add_row("model", f"{report['model']}, {len(report['layers'])} layers")
    facts.add_row("inputs", f"{report['samples']:,} {report['inputs']}")
    facts.add_row("shown", _MODES[report["mode"]])
    table = layer_table(report["layers"], report["engines"])
    verdicts = (
        verdict(engine, report["layers"], report["samples"]) for engine in report["engines"]
    )
    return Group(facts, Text(), table, Text(), *verdicts)


_MODES = {
    "accumulated": "each engine runs the whole network; differences add up from layer to layer",
    "isolated": "each layer alone is fed what edgekit's arithmetic gives it",
}


def layer_table(layers: Sequence[Plain], engines: Sequence[Plain]) -> Table:
    """One row a layer: for each engine that ran, how many values differ from edgekit's."""
    columns = [column for engine in engines if "not_run" not in engine for column in _of(engine)]
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("layer", justify="right", no_wrap=True)
    table.add_column("op", no_wrap=True)
    table.add_column("name")  # the one that gives way on a narrow terminal
    table.add_column("values", justify="right", no_wrap=True)
    for header, _ in columns:
        table.add_column(header, justify="right", no_wrap=True)
    for layer in layers:
        table.add_row(
            str(layer["index"]),
            layer["op"],
            Text(_short(layer["name"]), no_wrap=True, overflow="ellipsis"),
            f"{layer['elements']:,}",
            *(cell(layer["index"]) for _, cell in columns),
        )
    return table


def _of(engine: Plain) -> Iterator[tuple[str, Callable[[int], Text]]]:
    """(header, layer -> cell) of an engine's columns: one if it differs nowhere, else three."""
    name = _HEADERS[engine["engine"]]
    if not any(layer and layer["differing"] for layer in engine["layers"]):
        yield name, lambda index: _equal(engine["layers"][index])
        return
    headers = (f"{name}\ndiffer", "\nby 1", "\nmax")
    for header, key in zip(headers, ("differing", "off_by_one", "largest"), strict=True):
        yield header, lambda index, key=key: _count(engine["layers"][index], key)  # type: ignore[misc]


def _equal(layer: Plain | None) -> Text:
    return Text("not seen", style="dim") if layer is None else Text("equal", style="green")


def _count(layer: Plain | None, key: str) -> Text:
    if layer is None or not layer["differing"]:
        return _equal(layer) if key == "differing" else Text("")
    return Text(_size(layer[key]), style="yellow")


def verdict(engine: Plain, layers: Sequence[Plain], samples: int) -> Text:
    """What came of one engine, in a line or a few."""
    if "not_run" in engine:
        cure = f"\n  {engine['cure']}" if engine["cure"] else ""
        return Text(f"{engine['title']}: not run. {engine['not_run']}{cure}", style="yellow")
    text = Text(f"{engine['title']} ({engine['version']}): ").append_text(found(engine, layers))
    if engine["exact"]:
        return text
    for number, output in enumerate(engine["outputs"]):
        text.append(f"\n  output {number}: {difference(output)}")
    if engine["top1_flips"] is not None:
        text.append(f"\n  top-1: another class for {engine['top1_flips']:,} of {samples:,} samples")
    return text


def found(engine: Plain, layers: Sequence[Plain]) -> Text:
    """The first layer in which an engine differs, if any does."""
    if engine["first_difference"] is None:
        unseen = sum(layer is None for layer in engine["layers"])
        note = f", {unseen} of them not seen" if unseen else ""
        return Text(f"equal to the bit in all {len(layers)} layers{note}", style="green")
    first = layers[engine["first_difference"]]
    return Text(
        f"differs first in layer {first['index']}, {first['op']} '{_short(first['name'])}': "
        f"{difference(engine['layers'][first['index']])}",
        style="yellow",
    )


def difference(parts: Plain) -> str:
    """A comparison in words."""
    if not parts["differing"]:
        return f"all {parts['elements']:,} values are equal"
    return (
        f"{parts['differing']:,} of {parts['elements']:,} values differ "
        f"({parts['off_by_one']:,} by one step), at most by {_size(parts['largest'])}"
    )


def _size(largest: float | None) -> str:
    """Steps are whole numbers; JSON has no infinity."""
    return "infinity" if largest is None else f"{largest:.4g}" if largest % 1 else f"{largest:,.0f}"


def _short(name: str) -> str:
    """The first of the names that converters join with semicolons, its end if it is long."""
    first = name.split(";")[0]
    return first if len(first) <= _NAME_CHARACTERS else "…" + first[1 - _NAME_CHARACTERS :]
