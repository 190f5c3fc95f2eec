"""A run of a bundle as a person reads it: facts, then a table of layers if any differs.

Enter the plain values that `edgekit emulate --json` prints; leaves a rich renderable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgekit.report.accuracy import wilson_interval
from edgekit.report.bench import program_rows
from edgekit.report.kernels import difference, found, layer_table

Plain = Mapping[str, Any]


def emulation(report: Plain) -> RenderableType:
    """All that `edgekit emulate` prints."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column()
    for name, value in _rows(report):
        facts.add_row(name, value)
    parts: list[RenderableType] = [facts]
    if report["engine"]["first_difference"] is not None:
        parts += [Text(), layer_table(report["layers"], [report["engine"]])]
    return Group(*parts, *(Text(fault, style="bold red") for fault in report["faults"]))


def _rows(report: Plain) -> Iterator[tuple[str, RenderableType]]:
    yield "bundle", f"{report['bundle']}, {report['target']} on {report['board']}"
    yield "engine", f"{report['engine']['title']} ({report['engine']['version']})"
    if report["target"] == "coral":
        yield "", "the CPU's twin of the model; nothing here emulates the Edge TPU itself"
    if report["arena"]:
        yield "arena", _arena(report["arena"], report["board_arena_bytes"])
    if report["chip"]:
        yield from program_rows(report["chip"])
        yield from _ending(report["chip"]["ending"])
    yield "golden vectors", _golden(report["golden"])
    yield "inputs", f"{report['agreement']['samples']:,} {report['inputs']}"
    yield from _agreement(report["agreement"])
    layers = found(report["engine"], report["layers"])
    many = "one input" if report["layer_samples"] == 1 else f"{report['layer_samples']} inputs"
    yield "layers", layers.append(f"; on {many}")


def _arena(arena: Plain, board_bytes: int | None) -> Text:
    text = Text()
    if board_bytes is not None:
        text.append(f"{board_bytes:,} bytes predicted for the board, with its 32-bit pointers\n")
    text.append(f"{arena['predicted_bytes']:,} bytes predicted for this host, with 64-bit ones: ")
    if arena["enough"]:
        return text.append("it ran in exactly that", style="green")
    return text.append(f"too few, it needs {arena['needed_bytes']:,}", style="bold red")


def _ending(ending: Plain) -> Iterator[tuple[str, RenderableType]]:
    code = "" if ending["exit_code"] is None else f" with code {ending['exit_code']}"
    how = "came to rest" if ending["how"] == "halt" else "ended"
    said = " ".join(ending["uart"].splitlines()[-1:])
    yield "from reset", f"{how}{code}; last on its UART: {said or 'nothing'}"


def _golden(parts: Plain) -> Text:
    if not parts["differing"]:
        return Text("edgekit's arithmetic gives them to the bit", style="green")
    return Text(f"{difference(parts)} from edgekit's arithmetic", style="bold red")


def _agreement(counts: Plain) -> Iterator[tuple[str, RenderableType]]:
    """Outputs and classes beside edgekit's arithmetic, and the truth where it is known."""
    samples = counts["samples"]
    same = counts["same_outputs"]
    text = Text(f"equal to edgekit's arithmetic, to the bit, for {same:,} of {samples:,}")
    text.stylize("green" if same == samples else "yellow")
    yield "outputs", text
    if counts["same_top1"] is not None:
        yield "top-1", f"the same for {counts['same_top1']:,} of {samples:,}"
    if counts["labelled"]:
        low, high = wilson_interval(counts["engine_hits"], counts["labelled"])
        ours, theirs = (
            100 * counts[key] / counts["labelled"] for key in ("reference_hits", "engine_hits")
        )
        yield (
            "accuracy",
            f"{theirs:.2f} % (95 % interval {low:.1f} to {high:.1f}, "
            f"{counts['labelled']:,} labelled); edgekit's arithmetic {ours:.2f} %",
        )
