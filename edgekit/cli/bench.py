"""`edgekit bench`: what a model's C program takes of a board, measured on the emulated chip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import progress_bars
from edgekit.cli.options import RAM, options
from edgekit.errors import InputError, UsageError, VerificationError

if TYPE_CHECKING:
    from edgekit.emulate.chip.firmware import EngineName, Firmware


@click.command(
    epilog="""\b
Examples:
  edgekit bench --model vww_96_int8.tflite --board nucleo_f446re
  edgekit bench --model vww_96_int8.tflite --board nucleo_f446re --no-fold
  edgekit bench --model vww_96_int8.tflite --board rpi_pico --compiler zig --json
  edgekit bench --model vww_96_int8.tflite --board nucleo_f446re --ram
  edgekit bench build/mobilenet_v1_0.25_96_c --engine qemu

\b
Exit code 9 if the chip gives other bits than edgekit's arithmetic or TFLite Micro.
"""
)
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="A .tflite file, instead of BUNDLE.")
@click.option("--board", "board_id", help="For --model: which board. See `edgekit boards`.")
@options(RAM)
@click.option(
    "--fold/--no-fold",
    default=None,
    help="For --model: leave out channels that cannot change the outputs, or compute them all. "
    "Default: leave out, as `build` does.",
)
@click.option("--compiler", help="gcc, clang or zig; the first that is installed if not given.")
@click.option(
    "--engine",
    type=click.Choice(["unicorn", "qemu"]),
    help="Who emulates: unicorn, or QEMU for what unicorn lacks, if not given.",
)
@click.option(
    "--samples", type=click.IntRange(1), default=3, show_default=True, help="Random inputs to run."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random inputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def bench(
    bundle: Path | None,
    model: Path | None,
    board_id: str | None,
    fold: bool | None,
    ram_bytes: int | None,
    compiler: str | None,
    engine: EngineName | None,
    samples: int,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compile the C program of BUNDLE, or of a model for a board, run it on the emulated chip, and
    show exact instruction counts by layer, code, weights, arena and stack.
    """
    from edgekit.emulate.chip.bench import bench as run

    if (bundle is None) == (model is None):
        raise UsageError("Name a bundle, or a model with --model.")
    if bundle is not None:
        if fold is not None:
            raise UsageError("--fold and --no-fold are for --model; a bundle is built either way.")
        if ram_bytes is not None:
            raise UsageError("A bundle is planned already; --ram is for --model.")
        firmware, tflite = _of_bundle(bundle, board_id, compiler)
    else:
        assert model is not None
        folds = fold is not False
        firmware, tflite = _of_model(model, board_id, compiler, seed, folds, ram_bytes)
    with progress_bars(quiet) as progress:
        done = run(firmware, tflite, engine, samples=samples, seed=seed, progress=progress)
    _show({"model": (bundle or model or Path()).name, **done.to_json()}, as_json)
    if not done.bit_exact:
        raise VerificationError(
            f"The chip gives other results than {' and '.join(done.compared_with)}.",
            hint="This is a fault of edgekit: please report it with the model.",
        )


def _of_bundle(bundle: Path, board_id: str | None, compiler: str | None) -> tuple[Firmware, bytes]:
    from edgekit.cli.deployed import open_bundle
    from edgekit.plan import boards
    from edgekit.stages.firmware import of_bundle

    deployed = open_bundle(bundle)
    if deployed.target != "c":
        raise UsageError(
            f"{bundle} is a bundle of the target {deployed.target}, which holds no C program.",
            hint=f"Its model can be measured: --model {bundle}/model_int8.tflite --board ID.",
        )
    if board_id is not None and board_id != deployed.board:
        raise UsageError(f"The bundle is for the board {deployed.board}, not for {board_id}.")
    board = boards.load(deployed.board)
    return of_bundle(deployed.bundle, deployed.graph, board, compiler), deployed.tflite


def _of_model(
    model: Path,
    board_id: str | None,
    compiler: str | None,
    seed: int,
    folds: bool,
    ram_bytes: int | None,
) -> tuple[Firmware, bytes]:
    from edgekit.convert import tflite_reader
    from edgekit.plan import boards
    from edgekit.stages.firmware import of_model

    if board_id is None:
        raise UsageError("Which board is the model for?", hint="--board ID; see `edgekit boards`.")
    board = boards.load(board_id)
    try:
        tflite = model.read_bytes()
    except OSError as error:
        raise InputError(f"The model {model} cannot be read: {error.strerror}.") from error
    graph = tflite_reader.read(tflite)
    firmware = of_model(
        model.stem, graph, tflite, board, compiler, seed, folds=folds, ram_bytes=ram_bytes
    )
    return firmware, tflite


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.bench import bench as table

    print_result(table(report))
