"""What the C programs of the benchmark models take of each kind of core, beside a peer's figures.

Every model is compiled with every compiler that is installed, and runs one seeded inference on the
emulated chip, whose outputs must be edgekit's and TFLite Micro's to the bit. The figures are
compared with `baseline.json`; each that grew too far is named, and the exit code is 1. Of the
larger models, which take longest to compile, only some boards are measured if nothing is named.

    python benchmarks/instructions.py
    python benchmarks/instructions.py --all
    python benchmarks/instructions.py --model resnet8 --board mps2_an386 --compiler zig
    python benchmarks/instructions.py --update        # what was measured becomes the baseline
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import baseline
import click
import models
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgekit.cli.console import progress_bars
from edgekit.convert import tflite_reader, tflite_writer
from edgekit.emulate.chip.bench import bench
from edgekit.errors import DoesNotFitError, EdgekitError, MissingToolError, unknown_name
from edgekit.plan import boards
from edgekit.stages.firmware import of_model

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
VWW = "vww_96_int8"
MODELS = (VWW, *models.MODELS)
BOARDS = ("rpi_pico", "mps2_an386", "mps2_an500", "rpi_pico2", "mps3_an547")
COMPILERS = ("gcc", "zig")
# Measured everywhere; the others, which no peer's figures are known of, on these boards by GCC.
PEERS = (VWW, "resnet8", "ds_cnn", "dense_autoencoder")
OTHERS_ON = ("rpi_pico", "mps2_an386", "mps3_an547")
REPORT = Path("build/bench.json")
_WIDTH = 132


@dataclass(frozen=True)
class Cell:
    """A model on a board by a compiler, and what was found.

    Attributes:
        core: "cortex-m4"; empty if nothing ran.
        title: the compiler and its version.
        figures: see `baseline.TOLERANCES`; empty if nothing ran.
        layers: instructions of each layer with its kernel.
        note: why nothing ran, or what is wrong with the results.
        is_fault: whether that is edgekit's: not a missing tool or file, nor a board too small.
        does_not_fit: whether the board is too small.
    """

    model: str
    board: str
    compiler: str
    core: str = ""
    title: str = ""
    macs: int = 0
    figures: Mapping[str, int] = field(default_factory=dict)
    layers: tuple[Mapping[str, Any], ...] = ()
    note: str = ""
    is_fault: bool = False
    does_not_fit: bool = False

    @property
    def name(self) -> str:
        return f"{self.model} on {self.board}"


@cache
def tflite(model: str) -> bytes | None:
    """A model's file; None for visual wake words where the real file is not here."""
    if model != VWW:
        return tflite_writer.write(models.MODELS[model]())
    folder = Path(os.environ.get("EDGEKIT_SHARED") or HERE.parents[1] / "shared")
    path = folder / "models" / f"{VWW}.tflite"
    return path.read_bytes() if path.is_file() else None


def measure(model: str, board: str, compiler: str) -> Cell:
    """Compile and run one cell; what cannot be is noted."""
    content = tflite(model)
    if content is None:
        return Cell(model, board, compiler, note="not here: its file is looked for in ../shared")
    try:
        chosen = boards.load(board)
        firmware = of_model(model, tflite_reader.read(content), content, chosen, compiler)
        done = bench(firmware, content, samples=1)
    except MissingToolError as error:
        return Cell(model, board, compiler, note=str(error))
    except DoesNotFitError as error:
        return Cell(model, board, compiler, note=str(error), does_not_fit=True)
    except EdgekitError as error:
        return Cell(model, board, compiler, note=str(error), is_fault=True)
    run = done.run
    return Cell(
        model,
        board,
        compiler,
        core=run.core,
        title=run.compiler,
        macs=run.macs,
        figures={name: getattr(run, name) for name in baseline.TOLERANCES},
        layers=tuple(done.to_json()["layers"]),
        note="" if done.bit_exact else f"NOT the results of {' and '.join(done.compared_with)}",
        is_fault=not done.bit_exact,
    )


def measure_all(wanted: list[tuple[str, str, str]], quiet: bool) -> list[Cell]:
    """All cells, as many at a time as there are processors."""
    found = {}
    with progress_bars(quiet) as progress, ProcessPoolExecutor(os.cpu_count()) as pool:
        tasks = {pool.submit(measure, *cell): cell for cell in wanted}
        for done, task in enumerate(as_completed(tasks), 1):
            found[tasks[task]] = task.result()
            progress("models on boards", done, len(tasks))
    return [found[cell] for cell in wanted]


def figures(cells: list[Cell]) -> dict[str, dict[str, Mapping[str, int]]]:
    """By compiler and cell, as the baseline has them."""
    by_compiler: dict[str, dict[str, Mapping[str, int]]] = {}
    for cell in cells:
        if cell.figures:
            by_compiler.setdefault(cell.title, {})[cell.name] = cell.figures
    return by_compiler


def table(cells: list[Cell], before: baseline.Baseline) -> Table:
    """One row a cell; behind instructions, arena and code the share of the peer's."""
    peers = tomllib.loads((HERE / "peers.toml").read_text("utf-8"))
    shown = Table(box=None, padding=(0, 2, 0, 0), title_justify="left")
    shown.title = f"Instructions of one inference, and bytes; % of {peers['name']}'s, where known"
    for header in ("model", "core", "compiler"):
        shown.add_column(header, no_wrap=True)
    for header in ("instructions", "", "MACs each", "baseline", "arena", "", "code", "", "stack"):
        shown.add_column(header, justify="right", no_wrap=True)
    last = ""
    for cell in cells:
        name, last = (cell.model if cell.model != last else ""), cell.model
        if not cell.figures:
            shown.add_row(name, cell.board, cell.compiler, Text("-"))
            continue
        peer = peers.get(cell.model, {}).get(cell.core, {})
        taken = cell.figures
        old = before.get(cell.title, {}).get(cell.name, {}).get("instructions")
        shown.add_row(
            name,
            cell.core.replace("cortex-", "").replace("plus", "+"),
            cell.compiler,
            f"{taken['instructions']:,}",
            _share(taken, peer, "instructions"),
            f"{cell.macs / taken['instructions']:.3f}",
            f"{100 * (taken['instructions'] / old - 1):+.2f} %" if old else "new",
            f"{taken['arena_bytes']:,}",
            _share(taken, peer, "arena_bytes"),
            f"{taken['code_bytes']:,}",
            _share(taken, peer, "code_bytes"),
            f"{taken['stack_bytes']:,}",
        )
    return shown


def _share(taken: Mapping[str, int], peer: Mapping[str, int], figure: str) -> Text:
    if figure not in peer:
        return Text("")
    share = 100 * taken[figure] / peer[figure]
    return Text(f"{share:.0f} %", style="green" if share <= 100 else "red")


def notes(cells: list[Cell]) -> Iterator[str]:
    """What did not run, each reason once."""
    reasons: dict[str, list[str]] = {}
    for cell in cells:
        if cell.note:
            reasons.setdefault(cell.note, []).append(f"{cell.name} ({cell.compiler})")
    for reason, where in reasons.items():
        rest = f" and {len(where) - 2} more" if len(where) > 2 else ""
        yield f"{', '.join(where[:2])}{rest}: {reason}"


def verdict(cells: list[Cell], before: baseline.Baseline) -> tuple[list[str], bool]:
    """Sentences about what changed, and whether all is well."""
    changed = list(baseline.changes(before, figures(cells)))
    grown = [str(change) for change in changed if change.fails]
    known = {name for cells in before.values() for name in cells}
    grown += [
        f"{cell.name} ({cell.compiler}): {cell.note}"
        for cell in cells
        if cell.is_fault or (cell.does_not_fit and cell.name in known)
    ]
    better = [
        str(change) for change in changed if change.figure == "instructions" and change.ratio < 1
    ]
    said = [f"FAILED: {text}" for text in grown]
    said += [f"better: {text}" for text in better]
    unknown = sorted({cell.title for cell in cells if cell.title and cell.title not in before})
    said += [f"{title} has no baseline: nothing to compare with." for title in unknown]
    return said, not grown


def _chosen(kind: str, given: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    for name in given:
        if name not in known:
            raise unknown_name(kind, name, known)
    return given or known


def _is_usual(model: str, board: str, compiler: str) -> bool:
    return model in PEERS or (board in OTHERS_ON and compiler == "gcc")


@click.command(help=__doc__.splitlines()[0])
@click.option("--model", "model_names", multiple=True, help="Only this one; may be repeated.")
@click.option("--board", "board_names", multiple=True, help="Likewise.")
@click.option("--compiler", "compilers", multiple=True, help="gcc or zig.")
@click.option("--all", "everything", is_flag=True, help="Every model everywhere.")
@click.option("--update", is_flag=True, help="Make what was measured the baseline.")
@click.option("--report", type=click.Path(path_type=Path), default=REPORT, show_default=True)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def main(
    model_names: tuple[str, ...],
    board_names: tuple[str, ...],
    compilers: tuple[str, ...],
    everything: bool,
    update: bool,
    report: Path,
    quiet: bool,
) -> None:
    try:
        product = itertools.product(
            _chosen("model", model_names, MODELS),
            _chosen("board", board_names, BOARDS),
            _chosen("compiler", compilers, COMPILERS),
        )
    except EdgekitError as error:
        raise click.UsageError(f"{error} {error.hint or ''}") from None
    everything = everything or bool(model_names or board_names or compilers)
    wanted = [cell for cell in product if everything or _is_usual(*cell)]
    cells, before = measure_all(wanted, quiet), baseline.read()
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps([cell.__dict__ for cell in cells], indent=2) + "\n", "utf-8")
    console = Console(markup=False, emoji=False, width=_WIDTH)
    console.print(table(cells, before), highlight=False)
    for note in notes(cells):
        console.print(f"-- {note}", highlight=False, soft_wrap=True)
    said, is_well = verdict(cells, before)
    if update and not any(cell.is_fault for cell in cells):
        baseline.write(before, figures(cells))
        said.append(f"The baseline is renewed: {baseline.PATH}")
        is_well = True
    elif said:
        said.append("--update makes what was measured the baseline.")
    for sentence in said:
        console.print(sentence, highlight=False, soft_wrap=True)
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
