"""What memory a model needs in TFLite Micro, and what edgekit's plan saves: what `plan` prints.

A graph, its file and perhaps a board enter; plain values for scripts leave, and from those the text
a person reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from edgekit.graph.ir import DType, Graph
from edgekit.plan import boards
from edgekit.plan.arena import ArenaPlan, PlacedBuffer, build_for, plan_arena
from edgekit.plan.boards import Board
from edgekit.plan.fit import Fit, judge
from edgekit.plan.names import short_name
from edgekit.plan.offline import plan_for, plan_offline
from edgekit.plan.tflm_memory import HOST, TflmBuild
from edgekit.report.waterfall import waterfall

Plain = Mapping[str, Any]

# (id, name, build, whether element-wise nodes may overwrite their inputs)
_BUILDS: tuple[tuple[str, str, TflmBuild, bool], ...] = (
    ("host", "this computer (64 bits), TFLM's kernels", HOST, True),
    ("reference", "any 32-bit chip, TFLM's kernels", TflmBuild(), False),
    (
        "cmsis-nn",
        "Cortex-M0 to M3, CMSIS-NN",
        TflmBuild(kernels="cmsis-nn", short_enums=True),
        True,
    ),
    (
        "cmsis-nn-dsp",
        "Cortex-M4, M7, M33, CMSIS-NN",
        TflmBuild(kernels="cmsis-nn", simd="dsp", short_enums=True),
        True,
    ),
    (
        "cmsis-nn-mve",
        "Cortex-M55, M85, CMSIS-NN",
        TflmBuild(kernels="cmsis-nn", simd="mve", short_enums=True),
        True,
    ),
)
_NO_BOARD = _BUILDS[3][2]  # what most boards have
_HEAVIEST = 4


@dataclass(frozen=True, eq=False)
class Model:
    """A model as its file has it.

    Attributes:
        name: for texts.
        graph: with its tensors in the file's order.
        file_bytes: the file's size.
        offsets: the offline plan the file brings along; empty if none.
    """

    name: str
    graph: Graph
    file_bytes: int
    offsets: Mapping[str, int]

    @property
    def has_kernels(self) -> bool:
        """Whether TFLite Micro can run it: it has no kernels for uint8."""
        return all(tensor.dtype is not DType.UINT8 for tensor in self.graph.tensors.values())

    def as_it_is(self, build: TflmBuild) -> ArenaPlan:
        """The arena of this very file."""
        return plan_arena(self.graph, build, self.offsets, order=tuple(self.graph.tensors))

    def planned(self, build: TflmBuild, *, in_place: bool) -> ArenaPlan:
        """The arena once edgekit has written it with a plan of its own."""
        offsets = plan_offline(self.graph, build, in_place=in_place)
        return plan_arena(self.graph, build, offsets)


def memory_report(model: Model, board: Board | None) -> dict[str, Any]:
    """Plain values.

    Raises:
        UnsupportedError: the graph holds an op whose memory in TFLM is not known.
    """
    plan = plan_for(model.graph, board)[1] if board else model.planned(_NO_BOARD, in_place=True)
    return {
        "model": model.name,
        "operators": len(model.graph.nodes),
        "file_bytes": model.file_bytes,
        "is_planned": bool(model.offsets),
        "peak": peak_of(model.graph, plan),
        "arena": [
            {
                "build": key,
                "name": name,
                "arena_bytes": model.as_it_is(build).arena_bytes,
                "planned_bytes": model.planned(build, in_place=in_place).arena_bytes,
            }
            for key, name, build, in_place in _BUILDS
        ],
        "board": _board(model, board, plan) if board else None,
        "fits_on": _fits_on(model) if model.has_kernels else [],
        "has_kernels": model.has_kernels,
    }


def fit_on(model: Model, board: Board) -> Fit:
    """The verdict for a board, with edgekit's plan."""
    return judge(board, model.graph, model.file_bytes, plan_for(model.graph, board)[1])


def pictured(model: Model, board: Board | None) -> str:
    """The planned arena as an SVG, for the board or, without one, for a Cortex-M4."""
    if board is None:
        plan, unplanned = model.planned(_NO_BOARD, in_place=True), model.as_it_is(_NO_BOARD)
        return waterfall(model.graph, plan, title=model.name, unplanned=unplanned)
    return waterfall(
        model.graph,
        plan_for(model.graph, board)[1],
        title=f"{model.name} on {board.name}",
        ram_bytes=board.arena_region.bytes if board.arena_region else None,
        unplanned=plan_arena(model.graph, build_for(board)),
    )


def peak_of(graph: Graph, plan: ArenaPlan) -> dict[str, Any]:
    """The operator during which most bytes are alive, and what holds them."""
    step = next((i for i, n in enumerate(graph.nodes, 1) if n.name == plan.peak_node), 0)
    alive = [buffer for buffer in plan.buffers if buffer.first <= step <= buffer.last]
    return {
        "bytes": plan.peak_bytes,
        "step": step,
        "op": graph.nodes[step - 1].op.tflite_name if step else "",
        "node": plan.peak_node,
        "holders": [
            {"name": buffer.name, "bytes": buffer.size_bytes, "scratch": buffer.is_scratch}
            for buffer in sorted(alive, key=_largest_first)
        ],
    }


def _largest_first(buffer: PlacedBuffer) -> tuple[int, int]:
    return -buffer.size_bytes, buffer.offset


def _board(model: Model, board: Board, plan: ArenaPlan) -> dict[str, Any]:
    fit = judge(board, model.graph, model.file_bytes, plan)
    ram = next((region for region in fit.regions if region.kind == "ram"), None)
    reads_pictures = any(len(model.graph.tensors[name].shape) == 4 for name in model.graph.inputs)
    return {
        "id": board.id,
        "name": board.name,
        "arena_bytes": model.as_it_is(build_for(board)).arena_bytes,
        "planned_bytes": plan.arena_bytes,
        "activations_bytes": plan.activations_bytes,
        "room_for_activations_bytes": ram.free_bytes + plan.activations_bytes if ram else None,
        "reads_pictures": reads_pictures,
        "fit": fit.to_json(),
    }


def _fits_on(model: Model) -> list[str]:
    """The boards for TFLite Micro that have room, the smallest RAM first."""
    some = [board for board in boards.for_backend("tflm") if fit_on(model, board).fits]
    return [board.id for board in sorted(some, key=_ram)]


def _ram(board: Board) -> tuple[int, str]:
    return (board.arena_region.bytes if board.arena_region else 0, board.id)


def memory_text(report: Plain) -> str:
    """The same for a person."""
    blocks = [head_lines(report), _arenas(report["arena"])]
    if report["board"]:
        blocks.append(_verdict(report["board"]))
    fitting = ", ".join(report["fits_on"]) or "none that edgekit knows"
    if report["has_kernels"]:
        blocks.append([f"Boards with room for it: {fitting}."])
    else:
        blocks.append(["TFLite Micro has no kernels for uint8: it cannot run this model."])
    return "\n\n".join("\n".join(block) for block in blocks)


def head_lines(report: Plain) -> list[str]:
    """The model, and what stands at its peak."""
    peak = report["peak"]
    by = ", which brings its own memory plan" if report["is_planned"] else ""
    operator = f"operator {peak['step']}, {peak['op']} '{short_name(peak['node'])}'"
    lines = [
        f"{report['model']}: {report['operators']} operators, {report['file_bytes']:,} bytes{by}",
        "",
        f"Peak: {peak['bytes']:,} bytes at {operator if peak['step'] else 'the input'}",
    ]
    holders = peak["holders"]
    for holder in holders[:_HEAVIEST]:
        name = short_name(holder["name"])
        what = f"scratch of {name}" if holder["scratch"] else name
        lines.append(f"  {holder['bytes']:>10,}  {what}")
    if rest := holders[_HEAVIEST:]:
        lines.append(f"  {sum(h['bytes'] for h in rest):>10,}  {len(rest)} others")
    return lines


def _arenas(rows: Sequence[Plain]) -> list[str]:
    width = max(len(row["name"]) for row in rows)
    lines = [f"{'Arena, bytes':<{width}}{'as it is':>12}{'planned':>12}{'saved':>8}"]
    for row in rows:
        before, after = row["arena_bytes"], row["planned_bytes"]
        saved = f"{100 * (before - after) / before:.0f} %" if after < before else "-"
        lines.append(f"{row['name']:<{width}}{before:>12,}{after:>12,}{saved:>8}")
    return lines


def _verdict(board: Plain) -> list[str]:
    fit = board["fit"]
    return [*fit_lines(fit), *_remedies(board)]


def fit_lines(fit: Plain) -> list[str]:
    """The verdict on a board's RAM and flash."""
    lines = [f"{fit['board']}: {'fits' if fit['fits'] else 'does not fit'}"]
    for kind, region in fit["regions"].items():
        used, capacity, free = (region[f"{k}_bytes"] for k in ("used", "capacity", "free"))
        left = f"{free:,} free" if free >= 0 else f"{-free:,} missing"
        lines.append(f"  {kind:<6}{used:>12,} of {capacity:,} bytes, {left}")
    return lines


def _remedies(board: Plain) -> Iterator[str]:
    """What would make it fit, for RAM, which depends on the activations."""
    room, taken = board["room_for_activations_bytes"], board["activations_bytes"]
    if room is None or room >= taken:
        return
    if room <= 0:
        yield "  Its structures and kernel data alone are too much."
        return
    smaller = f"pictures of about {sqrt(room / taken):.2f} times the resolution would fit"
    remedy = f": {smaller}" if board["reads_pictures"] else ""
    yield f"  Activations take {taken:,} bytes, {room:,} have room{remedy}."
