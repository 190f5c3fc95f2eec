"""`edgekit compare-kernels`: one model under every kernel library, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import progress_bars
from edgekit.errors import InputError, UsageError, VerificationError

if TYPE_CHECKING:
    from edgekit.emulate.samples import Values
    from edgekit.graph.ir import Graph


@click.command(
    name="compare-kernels",
    epilog="""\b
Examples:
  edgekit compare-kernels model_int8.tflite
  edgekit compare-kernels model_int8.tflite --data photos/ --images 32
  edgekit compare-kernels keywords.tflite --samples spectrograms.npy --isolated --json

\b
Exit code 9 if TFLite Micro differs from edgekit's integer arithmetic, which must not be; a
difference of LiteRT is its nature.
""",
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--samples",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A .npy of inputs, (n, *shape); once for each input of the model.",
)
@click.option("--data", help="Folder of class folders, or 'fashion_mnist': its test pictures.")
@click.option(
    "--images",
    "count",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="How many samples at most.",
)
@click.option("--isolated", is_flag=True, help="Feed each layer what edgekit's arithmetic gives.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of random inputs and splits.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def compare_kernels(
    model: Path,
    files: tuple[Path, ...],
    data: str | None,
    count: int,
    isolated: bool,
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run MODEL, a .tflite file, under TFLite Micro and LiteRT (its reference kernels and XNNPACK)
    and show for each layer how they differ from edgekit's arithmetic.

    Without --samples and --data, a model that reads pictures gets test pictures of the embedded
    set, any other seeded random numbers.
    """
    from edgekit.convert.tflite_model import read_model
    from edgekit.emulate.compare import compare, is_integer, layers_of
    from edgekit.emulate.engine import Engine

    if files and data:
        raise UsageError("--samples (arrays) and --data (pictures) contradict each other.")
    graph, tflite = read_model(_read(model))
    inputs, described = _inputs(graph, files, data, count, seed)
    with progress_bars(quiet) as progress:
        outcomes = compare(
            graph, tflite, inputs, tuple(Engine), isolated=isolated, progress=progress
        )
    report = {
        "model": model.name,
        "inputs": described,
        "samples": len(inputs[0]),
        "mode": "isolated" if isolated else "accumulated",
        "layers": layers_of(graph),
        "engines": [outcome.to_json() for outcome in outcomes],
    }
    _show(report, as_json)
    micro = next(outcome for outcome in outcomes if outcome.engine is Engine.TFLM)
    if is_integer(graph) and micro.error is None and not micro.is_exact:
        raise VerificationError(
            f"TFLite Micro differs from edgekit's arithmetic in layer {micro.first_difference}.",
            hint="This is a fault of edgekit: please report it with the model.",
        )


def _read(model: Path) -> bytes:
    try:
        return model.read_bytes()
    except OSError as error:
        raise InputError(f"The model {model} cannot be read: {error.strerror}.") from error


def _inputs(
    graph: Graph, files: tuple[Path, ...], data: str | None, count: int, seed: int
) -> tuple[tuple[Values, ...], str]:
    """Stacked arrays, and what they are."""
    from edgekit.cli.inputs import array_files, raw_pictures, reads_picture
    from edgekit.emulate.samples import random_samples

    if files:
        arrays = array_files(files, graph)
        return tuple(array[:count] for array in arrays), f"samples of {files[0].name}"
    if reads_picture(graph):
        return raw_pictures(graph, data, count, seed)
    if data:
        shapes = ", ".join(str(graph.tensors[name].shape) for name in graph.inputs)
        raise UsageError(
            f"The model reads {shapes}, no picture of one or three channels.",
            hint="Give its inputs as arrays: --samples X.npy.",
        )
    return random_samples(graph, count, seed), f"random samples of seed {seed}"


def _show(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.kernels import kernels

    print_result(kernels(report))
