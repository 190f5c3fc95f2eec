"""A report as a person reads it: a few tables, the worst news in colour.

Enters the report as a plain dict (see `report`), leaves a rich renderable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Report = Mapping[str, Any]

_NOTABLE_DROP = 1.0  # percentage points from which the drop is shown in red
_NOTABLE_SECONDS = 0.05


def summary(report: Report) -> RenderableType:
    """The whole summary: model, accuracy, files, target, memory, bundle."""
    return Group(*(_facts(report), *_per_class(report), *_closing(report)))


def _facts(report: Report) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in _rows(report):
        table.add_row(name, value)
    return table


def _rows(report: Report) -> Iterator[tuple[str, RenderableType]]:
    yield "model", _model(report["model"])
    if report["model"].get("pruned"):
        yield "pruned", _pruned(report["model"]["pruned"])
    yield "weights", _origin(report["weights"])
    if report["accuracy"]:
        yield from _accuracy(report["accuracy"])
    elif report["fidelity_db"] is not None:
        yield "cost of int8", f"output SQNR {_decibels(report['fidelity_db'])}"
    ops = report["tflite"]["ops"]
    yield (
        "int8 model",
        f"{report['tflite']['bytes']:,} bytes, {sum(ops.values())} operators "
        f"({', '.join(f'{count} {name}' for name, count in ops.items())})",
    )
    if report.get("folded"):
        yield "folded", _folded(report["folded"])
    yield "verified", _verified(report["verified"])
    if report.get("repair"):
        yield "repairs", _repairs(report["repair"], report["repair_on"])
    yield "target", f"{report['target']} on {report['board']}"
    if report.get("edgetpu"):
        yield "Edge TPU", _edgetpu(report["edgetpu"])
    yield from _memory(report["memory"])
    if report.get("instructions"):
        yield "instructions", _instructions(report["instructions"])
    if report.get("firmware"):
        yield "firmware", _firmware(report["firmware"])
    yield "seconds", _seconds(report["seconds"])


def _model(model: Report) -> str:
    size = f"{model['params']:,} parameters, {model['macs'] / 1e6:,.1f} M MACs"
    if model["alpha"] is None:
        shapes = ", ".join("x".join(map(str, shape)) for shape in model["inputs"])
        return f"{model['arch']}, reads {shapes}: {size}"
    return (
        f"{model['arch']}, alpha {model['alpha']}, rho {model['rho']:.3f} -> "
        f"{model['resolution']}x{model['resolution']}, {model['classes']} classes: {size}"
    )


def _pruned(pruned: Report) -> str:
    return (
        f"{100 * pruned['reached']:.0f} % of the channels: parameters "
        f"{pruned['params_before']:,} -> {pruned['params_after']:,}, MACs "
        f"{pruned['macs_before'] / 1e6:,.1f} M -> {pruned['macs_after'] / 1e6:,.1f} M"
    )


def _folded(folded: Report) -> str:
    before, after = folded["macs_before"], folded["macs_after"]
    if before == after:
        return "every channel counts"
    return f"MACs {before / 1e6:,.1f} M -> {after / 1e6:,.1f} M: the others cannot change an output"


def _origin(origin: Report) -> str:
    if origin["source"] == "trained":
        return f"trained: {_counted(origin['epochs'], 'epoch')}, {origin['images']:,} images"
    further = origin.get("transfer")
    tuned = further and (
        f", fine-tuned: {_counted(further['epochs'], 'epoch')}, {further['images']:,} images"
    )
    return f"from {origin['file']}" + (tuned or "")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"


def _accuracy(accuracy: Report) -> Iterator[tuple[str, RenderableType]]:
    for kind in ("float", "int8"):
        if accuracy[f"{kind}_top1"] is not None:
            low, high = accuracy[f"{kind}_interval"]
            yield (
                f"{kind} accuracy",
                f"{accuracy[f'{kind}_top1']:.2f} % (95 % interval {low:.1f} to {high:.1f}, "
                f"{accuracy['images']:,} {accuracy['split']} images)",
            )
    drop = accuracy["drop"]
    if drop is not None:
        yield (
            "cost of int8",
            Text(
                f"{drop:+.2f} points; agreement {accuracy['agreement']:.2f} %, "
                f"logits SQNR {_decibels(accuracy['sqnr_db'])}",
                style="red" if drop > _NOTABLE_DROP else "",
            ),
        )


def _repairs(steps: Sequence[Report], on: Report) -> Text:
    """A line for each rung of the ladder: what it reached where it was judged, and its seconds."""
    text = Text(f"judged on {_counted(on['images'], 'sample')} ({on['split']})")
    for step in steps:
        verdict = "kept" if step["kept"] else "taken back" if step["measured"] else "nothing to do"
        figures = [verdict]
        if step["measured"]:
            if step["drop"] is not None:
                figures.append(f"{step['drop']:+.2f} points")
            if step["agreement"] is not None:
                figures.append(f"agreement {step['agreement']:.2f} %")
            figures.append(f"SQNR {_decibels(step['sqnr_db'])}")
        text.append(f"\n{step['rung']}: {', '.join(figures)}, {step['seconds']:.1f} s")
    return text


def _decibels(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.1f} dB"


def _verified(verified: Report) -> Text:
    if not verified["checked"]:
        return Text(f"not checked: {verified['reason']}", style="yellow")
    text = Text(f"bit-exact on {verified['samples']} samples against {verified['oracle']}")
    if verified.get("instead_of"):
        text.append(f" ({verified['instead_of'].rstrip('.')})")
    return text


def _edgetpu(edgetpu: Report) -> Text:
    total = edgetpu["mapped"] + edgetpu["cpu"]
    text = Text(
        f"{edgetpu['mapped']} of {total} operators map (predicted), "
        f"{_counted(edgetpu['subgraphs'], 'subgraph')}, "
        f"{edgetpu['parameter_bytes']:,} parameter bytes",
        style="" if edgetpu["cpu"] == 0 else "yellow",
    )
    for op in edgetpu["ops"]:
        if not op["mapped"]:
            text.append(f"\n{op['index']} {op['name']} stays on the CPU: {op['reason']}")
    return text


def _memory(memory: Report) -> Iterator[tuple[str, str]]:
    predicted = " (predicted for TFLite Micro)" if memory.get("predicted", True) else ""
    said = f"arena {memory['arena_bytes']:,} bytes{predicted}"
    said += f", weights {memory['weights_bytes']:,} bytes"
    if "code_bytes" in memory:
        measured = "" if memory["code_is_measured"] else " (estimate)"
        said += f", code {memory['code_bytes']:,} bytes{measured}"
    yield "memory", said


def _instructions(instructions: Report) -> str:
    share = 100 * instructions["error"]
    return (
        f"about {instructions['estimate']:,} an inference (estimate, layers within {share:.0f} %)"
    )


def _firmware(firmware: Report) -> Text:
    if not firmware["compiled"]:
        return Text(f"not compiled: {firmware['reason']}", style="yellow")
    emulator = firmware["emulator"] or "none known"
    return Text(f"compiled with {firmware['compiler']}, not run; emulator of the board: {emulator}")


def _seconds(stages: Report) -> str:
    """All together, then the stages that took any to speak of."""
    long = [f"{name} {value:.1f}" for name, value in stages.items() if value >= _NOTABLE_SECONDS]
    return f"{sum(stages.values()):.1f}" + (f": {', '.join(long)}" if long else "")


def _per_class(report: Report) -> Iterator[RenderableType]:
    accuracy = report.get("accuracy")
    if not accuracy or len(accuracy["per_class"]) > 20:
        return
    table = Table(title="top-1 per class, %", title_justify="left", box=None, padding=(0, 2))
    table.add_column("class")
    for column in ("images", "float", "int8"):
        table.add_column(column, justify="right")
    for row in accuracy["per_class"]:
        table.add_row(
            row["label"],
            f"{row['images']:,}",
            "-" if row["float_top1"] is None else f"{row['float_top1']:.1f}",
            f"{row['int8_top1']:.1f}",
        )
    yield table


def _closing(report: Report) -> Iterator[RenderableType]:
    for sentence in report.get("suspects", ()):
        yield Text(f"suspect: {sentence}")
    for warning in report.get("warnings", ()):
        yield Text(f"warning: {warning}", style="yellow")
    gate = report.get("gate")
    if gate:
        yield Text(
            f"accuracy gate {'passed' if gate['passed'] else 'failed'}: {gate['drop']:.2f} points "
            f"lost on {gate['split']}, {gate['max_drop']:.2f} allowed",
            style="" if gate["passed"] else "bold red",
        )
