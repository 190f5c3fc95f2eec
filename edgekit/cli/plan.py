"""`edgekit plan`: the memory a model needs in TFLite Micro, before anything is flashed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.errors import InputError, OutputError, UnsupportedError

if TYPE_CHECKING:
    from edgekit.plan.boards import Board
    from edgekit.report.memory import Model


@click.command(
    epilog="""\b
Examples:
  edgekit plan model_int8.tflite
  edgekit plan build/mobilenet_v1_0.25_96_tflm --svg memory.svg
  edgekit plan model_int8.tflite --board nucleo_f446re --json

\b
"As it is" is the arena of this very file; "planned" is the arena once edgekit has written the model
with an offline memory plan, as in its bundles. Exit code 5 if it does not fit the board.
"""
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", "board_id", help="Does it fit this board? See `edgekit boards`.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option(
    "--svg", "picture", type=click.Path(path_type=Path), help="Draw the planned arena to this file."
)
def plan(model: Path, board_id: str | None, as_json: bool, picture: Path | None) -> None:
    """Show how much RAM MODEL, a .tflite file or a bundle, needs in TFLite Micro: the arena for
    each kernel library, the operator and the tensors at its peak, and whether a board has room.
    """
    from edgekit.plan import boards
    from edgekit.report.memory import fit_on, memory_report, memory_text

    opened, own_board = _bundle(model) if model.is_dir() else (_file(model), None)
    chosen = board_id or own_board
    board = boards.load(chosen) if chosen else None
    report = memory_report(opened, board)
    click.echo(json.dumps(report, indent=2) if as_json else memory_text(report))
    if picture:
        _draw(opened, board, picture)
    if board and not opened.has_kernels:
        raise UnsupportedError(
            f"TFLite Micro has no kernels for the uint8 operators of {opened.name}.",
            hint="Take an int8 model; this one runs on LiteRT and the Edge TPU.",
        )
    if board:
        fit_on(opened, board).require()


def _file(path: Path) -> Model:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"Cannot read {path}: {error.strerror}.", hint="Name a .tflite file or a bundle."
        ) from error
    return _model(path.name, data)


def _bundle(path: Path) -> tuple[Model, str | None]:
    """The bundle's model and, if it is for TFLite Micro, its board."""
    from edgekit.cli.deployed import open_bundle

    deployed = open_bundle(path)
    return _model(path.name, deployed.tflite), (
        deployed.board if deployed.target == "tflm" else None
    )


def _model(name: str, data: bytes) -> Model:
    from edgekit.convert.tflite_model import read_model
    from edgekit.convert.tflite_reader import read_offsets
    from edgekit.report.memory import Model

    graph, tflite = read_model(data)
    return Model(name, graph, len(tflite), read_offsets(tflite))


def _draw(model: Model, board: Board | None, path: Path) -> None:
    from edgekit.report.memory import pictured

    try:
        path.write_text(pictured(model, board), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror}.") from error
