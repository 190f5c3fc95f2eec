"""`edgekit plan`: the memory a model needs on a microcontroller, before anything is flashed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.options import RAM, options
from edgekit.errors import InputError, OutputError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from edgekit.plan.boards import Board
    from edgekit.report.memory import Model


@click.command(
    epilog="""\b
Examples:
  edgekit plan model_int8.tflite
  edgekit plan build/mobilenet_v1_0.25_96_tflm --svg memory.svg
  edgekit plan model_int8.tflite --board nucleo_f446re --json
  edgekit plan model_int8.tflite --target c --board nucleo_f446re
  edgekit plan model_int8.tflite --target c --board nucleo_f446re --ram

\b
In TFLite Micro, "as it is" is the arena of this very file; "planned" is the arena once edgekit has
written the model with an offline memory plan, as in its bundles. A C program has one arena only.
Exit code 5 if it does not fit the board.
"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", "board_id", help="Does it fit this board? See `edgekit boards`.")
@click.option(
    "--target",
    type=click.Choice(["tflm", "c"]),
    help="TFLite Micro, or a generated C program. Default: the bundle's, the board's, or tflm.",
)
@options(RAM)
@click.option(
    "--fold/--no-fold",
    default=None,
    help="For target c: leave out channels that cannot change the outputs. Default: as the bundle; "
    "of a file, yes, as `build` does.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option(
    "--svg", "picture", type=click.Path(path_type=Path), help="Draw the planned arena to this file."
)
def plan(
    model: Path,
    board_id: str | None,
    target: str | None,
    fold: bool | None,
    ram_bytes: int | None,
    as_json: bool,
    picture: Path | None,
) -> None:
    """Show how much RAM MODEL, a .tflite file or a bundle, needs in TFLite Micro or as a C program:
    the arena, the operator and the tensors at its peak, and whether a board has room.
    """
    from edgekit.plan import boards

    opened = _bundle(model) if model.is_dir() else _Opened(_file(model))
    own_target = opened.target
    chosen = board_id or (opened.board if target in (None, own_target) else None)
    board = boards.load(chosen) if chosen else None
    if board and board_id and target is None:
        known = [own_target] if own_target in board.backends else list(board.backends)
        target = next((name for name in known if name in ("tflm", "c")), None)
    if (target or own_target) != "c":
        if fold is not None:
            raise UsageError("--fold and --no-fold are for target c.")
        if ram_bytes is not None:
            raise UsageError("--ram plans a generated C program.", hint="Add --target c.")
        _show_interpreted(opened.model, board, as_json, picture)
    else:
        folds = opened.folds if fold is None else fold
        _show_program(opened.model, board, folds, ram_bytes, as_json, picture)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A file, or a bundle: its target and board if that is a microcontroller."""

    model: Model
    target: str | None = None
    board: str | None = None
    folds: bool = True


def _show_interpreted(
    model: Model, board: Board | None, as_json: bool, picture: Path | None
) -> None:
    """In TFLite Micro."""
    from edgekit.report.memory import fit_on, memory_report, memory_text, pictured

    report = memory_report(model, board)
    click.echo(json.dumps(report, indent=2) if as_json else memory_text(report))
    if picture:
        _write(pictured(model, board), picture)
    if board and not model.has_kernels:
        raise UnsupportedError(
            f"TFLite Micro has no kernels for the uint8 operators of {model.name}.",
            hint="Take an int8 model; this one runs on LiteRT and the Edge TPU.",
        )
    if board:
        fit_on(model, board).require()


def _show_program(
    model: Model,
    board: Board | None,
    folds: bool,
    ram_bytes: int | None,
    as_json: bool,
    picture: Path | None,
) -> None:
    """As a generated C program."""
    from edgekit.backends.c import foresee
    from edgekit.graph.passes.folding import fold
    from edgekit.lower.isa import Isa
    from edgekit.plan.static_memory import arena_plan
    from edgekit.plan.striping import plan_program, plans_of
    from edgekit.report.program_memory import program_report, program_text
    from edgekit.report.waterfall import waterfall

    if folds:
        model = replace(model, graph=fold(model.graph))
    isa = Isa.of(board.core) if board else Isa.PORTABLE
    chosen = plan_program(model.graph, isa, ram_bytes)
    program, memory = chosen.program, chosen.memory
    fit = foresee(board, model.graph, 0, ram_bytes) if board else None
    curve = () if ram_bytes is None else plans_of(model.graph, isa)
    report = program_report(model, program, memory, fit, curve)
    click.echo(json.dumps(report, indent=2) if as_json else program_text(report))
    if picture:
        region = board.arena_region if board else None
        plan, ram_bytes = arena_plan(program, memory), region.bytes if region else None
        _write(waterfall(model.graph, plan, title=model.name, ram_bytes=ram_bytes), picture)
    if fit:
        fit.require()


def _file(path: Path) -> Model:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read {path}: {error.strerror}.", hint="Name a .tflite file or a bundle."
        ) from error
    return _model(path.name, data)


def _bundle(path: Path) -> _Opened:
    from edgekit.cli.deployed import open_bundle

    deployed = open_bundle(path)
    model = _model(path.name, deployed.tflite)
    if deployed.target not in ("tflm", "c"):
        return _Opened(model)
    return _Opened(model, deployed.target, deployed.board, deployed.is_folded)


def _model(name: str, data: bytes) -> Model:
    from edgekit.convert.tflite_model import read_model
    from edgekit.convert.tflite_reader import read_offsets
    from edgekit.report.memory import Model

    graph, tflite = read_model(data)
    return Model(name, graph, len(tflite), read_offsets(tflite))


def _write(drawing: str, path: Path) -> None:
    try:
        path.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}.") from error
