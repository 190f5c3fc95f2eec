"""`edgekit emulate`: run a bundle's own files as its target would."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edgekit.cli.console import progress_bars
from edgekit.data import SplitName
from edgekit.errors import UnsupportedError, UsageError, VerificationError

if TYPE_CHECKING:
    from edgekit.cli.deployed import Deployed
    from edgekit.emulate.chip.firmware import EngineName
    from edgekit.emulate.emulation import Emulation

_Runner = Callable[..., "Emulation"]  # of a model, its first samples, all, their number, progress


@click.command(
    epilog="""\b
Examples:
  edgekit emulate build/mobilenet_v1_0.25_128_tflm
  edgekit emulate build/mobilenet_v1_0.25_128_rpi --split test --limit 1000
  edgekit emulate build/mobilenet_v1_0.25_128_coral --images photos/ --json
  edgekit emulate build/mobilenet_v1_0.25_96_c --split test --engine qemu

\b
Exit code 9 if what must be equal to the bit is not: the results of TFLite Micro or of the C
program, or the golden vectors of any bundle. Of LiteRT a difference is only shown.
"""
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--images",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Run the pictures in this folder; a folder named as a class gives its pictures' class.",
)
@click.option(
    "--split",
    type=click.Choice(get_args(SplitName)),
    help="Run the pictures of a split of the data set.",
)
@click.option("--data", help="That data set, if it is not an embedded one that the bundle names.")
@click.option(
    "--samples",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Run a .npy of inputs, (n, *shape); once for each input of the model.",
)
@click.option("--limit", type=click.IntRange(1), help="Run so many samples, evenly chosen.")
@click.option(
    "--engine",
    "chip",
    type=click.Choice(["unicorn", "qemu"]),
    help="For target c: who emulates the chip; unicorn, or QEMU for what it lacks, if not given.",
)
@click.option(
    "--compiler",
    help="For target c: gcc, clang or zig; the first that is installed if not given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def emulate(
    bundle: Path,
    images: Path | None,
    split: SplitName | None,
    data: str | None,
    samples: tuple[Path, ...],
    limit: int | None,
    chip: EngineName | None,
    compiler: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the model of BUNDLE as its target would, and compare it with edgekit's arithmetic.

    tflm runs in TFLite Micro's interpreter, rpi in LiteRT with XNNPACK, coral in the same on the
    CPU. The firmware of c is compiled; the first samples run in it on the emulated chip, all of
    them in the same program on this computer. Without --images, --split and --samples the golden
    vectors of the bundle are run.
    """
    from edgekit.cli import chosen
    from edgekit.cli.deployed import open_bundle
    from edgekit.emulate.emulation import Model

    if sum((images is not None, bool(split or data), bool(samples))) > 1:
        raise UsageError("--images, --split (with --data) and --samples exclude each other.")
    deployed = open_bundle(bundle)
    run, golden = _runner(deployed, chip, compiler), deployed.golden()
    if images is not None:
        inputs = chosen.of_folder(deployed, images, limit)
    elif split or data:
        inputs = chosen.of_split(deployed, split or "test", data, limit)
    else:
        inputs = chosen.of_arrays(deployed, samples, limit)
    model = Model(deployed.graph, deployed.tflite, golden.inputs, golden.outputs)
    with progress_bars(quiet) as progress:
        done = run(model, inputs.first, inputs.batches(), inputs.count, progress)
    _show({**_about(bundle, deployed, inputs.described), **done.to_json()}, as_json)
    if done.faults:
        raise VerificationError(
            " ".join(done.faults),
            hint="This is a fault of edgekit: please report it with the bundle.",
        )


def _runner(deployed: Deployed, chip: EngineName | None, compiler: str | None) -> _Runner:
    """What runs models of the bundle's target."""
    from edgekit.emulate.emulation import emulate as run
    from edgekit.emulate.engine import Engine

    if deployed.target == "c":
        return _chip_runner(deployed, chip, compiler)
    if chip or compiler:
        raise UsageError(f"--engine and --compiler are for target c, not {deployed.target}.")
    engines = {
        "tflm": Engine.TFLM,
        "rpi": Engine.LITERT_XNNPACK,
        "coral": Engine.LITERT_XNNPACK,
    }
    if deployed.target not in engines:
        raise UnsupportedError(
            f"edgekit has no emulator for {deployed.target} bundles.",
            hint=f"It has for: c, {', '.join(sorted(engines))}.",
        )
    engine = engines[deployed.target]
    return lambda model, *samples: run(model, engine, *samples)


def _chip_runner(deployed: Deployed, chip: EngineName | None, compiler: str | None) -> _Runner:
    from edgekit.emulate.chip.emulation import emulate as run
    from edgekit.plan import boards
    from edgekit.stages.firmware import of_bundle

    board = boards.load(deployed.board)
    firmware = of_bundle(deployed.bundle, deployed.graph, board, compiler)
    return lambda model, *samples: run(model, firmware, chip, *samples)


def _about(path: Path, deployed: Deployed, inputs: str) -> dict[str, Any]:
    return {
        "bundle": path.as_posix(),
        "target": deployed.target,
        "board": deployed.board,
        "board_arena_bytes": deployed.arena_bytes,
        "inputs": inputs,
    }


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.emulation import emulation

    print_result(emulation(report))
