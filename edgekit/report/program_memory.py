"""What memory a model needs as a generated C program: what `plan` prints for the target c.

A model, its program and perhaps a verdict enter; plain values for scripts leave, and from those the
text a person reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgekit.lower.program import Program
from edgekit.plan.fit import Fit
from edgekit.plan.static_memory import StaticMemory, arena_plan
from edgekit.plan.striping import Plan
from edgekit.report.memory import Model, Plain, fit_lines, head_lines, peak_of

_SHOWN_LAYERS = 5


def program_report(
    model: Model,
    program: Program,
    memory: StaticMemory,
    fit: Fit | None,
    curve: Sequence[Plan] = (),
) -> dict[str, Any]:
    """Plain values.

    Args:
        fit: the verdict on a board; None without one.
        curve: other plans of the same program, if they were asked for.
    """
    return {
        "model": model.name,
        "target": "c",
        "operators": len(model.graph.nodes),
        "file_bytes": model.file_bytes,
        "is_planned": False,
        "peak": peak_of(model.graph, arena_plan(program, memory)),
        "arena_bytes": memory.arena_bytes,
        "bound_bytes": memory.bound_bytes,
        "weights_bytes": program.weights_bytes,
        "kernels": list(program.kernel_names),
        "instructions": estimated_instructions(program),
        "curve": [_point(plan) for plan in curve],
        "fit": fit.to_json() if fit else None,
        "roomier": list(fit.roomier) if fit else None,
    }


def estimated_instructions(program: Program) -> dict[str, Any] | None:
    """What an inference will take by the cost tables, plain; None if a kernel was never measured.

    Not what a compiler made of it: `edgekit bench` counts that.
    """
    total = program.estimate
    if total is None:
        return None
    return {
        "estimate": total.instructions,
        "error": round(total.error, 4),
        "layers": [
            {
                "index": index,
                "name": step.node.name,
                "op": step.node.op.tflite_name,
                "kernel": ", ".join(dict.fromkeys(kernel.name for kernel in step.kernels)),
                "estimate": step.estimate.instructions,
                "error": step.estimate.error,
            }
            for index, step in enumerate(program.steps)
            if step.estimate is not None
        ],
    }


def _point(plan: Plan) -> Plain:
    return {
        "arena_bytes": plan.memory.arena_bytes,
        "extra_instructions": plan.extra_instructions,
        "stripes": [
            {"first": one.first, "last": one.last, "rows": one.rows} for one in plan.program.stripes
        ],
    }


def _curve_lines(report: Plain) -> list[str]:
    """One line a plan; the chosen one is marked."""
    lines = ["Arena, instructions added (estimate), layers in stripes (rows):"]
    for point in report["curve"]:
        mark = "*" if point["arena_bytes"] == report["arena_bytes"] else " "
        cut = ", ".join(f"{s['first']}-{s['last']} ({s['rows']})" for s in point["stripes"])
        lines.append(
            f"{mark} {point['arena_bytes']:>9,}  {point['extra_instructions']:>+11,}  {cut or '-'}"
        )
    return lines


def program_text(report: Plain) -> str:
    """The same for a person."""
    above = report["arena_bytes"] - report["bound_bytes"]
    least = "no plan with these stripes" if report["curve"] else "no plan"
    best = f"{least} needs less" if not above else f"{above:,} above the most that is alive at once"
    blocks = [
        head_lines(report),
        [
            f"As a C program: arena {report['arena_bytes']:,} bytes ({best}), "
            f"weights {report['weights_bytes']:,} bytes, {len(report['kernels'])} kernels"
        ],
    ]
    if report["instructions"]:
        blocks.append(list(instruction_lines(report["instructions"])))
    if report["curve"]:
        blocks.append(_curve_lines(report))
    if report["fit"]:
        blocks.append(fit_lines(report["fit"]))
    return "\n\n".join("\n".join(block) for block in blocks)


def instruction_lines(instructions: Plain) -> Iterator[str]:
    """The estimate and the layers that take most."""
    total = instructions["estimate"]
    yield (
        f"Instructions of an inference: about {total:,}, an estimate that misses a layer by "
        f"{instructions['error']:.0%} or so. `edgekit bench` counts them. Most take"
    )
    most = sorted(instructions["layers"], key=lambda layer: -layer["estimate"])[:_SHOWN_LAYERS]
    for layer in most:
        share = layer["estimate"] / max(1, total)
        where = f"operator {layer['index']}, {layer['op']}"
        yield f"  {layer['estimate']:>12,}  {share:4.0%}  {where}: {layer['kernel']}"
