"""`edgekit predict`: what a bundle's model says of pictures or arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli.console import progress_bars
from edgekit.errors import InputError

if TYPE_CHECKING:
    from edgekit.cli.deployed import Deployed
    from edgekit.emulate.answers import Answer
    from edgekit.emulate.samples import Values
    from edgekit.progress import Progress

Plain = Mapping[str, Any]

_TOGETHER = 16  # pictures run at a time


@click.command(
    epilog="""\b
Examples:
  edgekit predict build/mobilenet_v1_0.25_128_coral cat.jpg
  edgekit predict build/mobilenet_v1_0.25_128_rpi photos/ --top 1 --engine litert
  edgekit predict build/keywords_tflm spectrograms.npy --json
"""
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--top", type=click.IntRange(1), default=3, show_default=True, help="How many classes to show."
)
@click.option(
    "--engine",
    "engine_name",
    type=click.Choice(["reference", "litert", "tflm"]),
    default="reference",
    show_default=True,
    help="Who computes: edgekit's arithmetic (the chip's, to the bit), LiteRT or TFLite Micro.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def predict(
    bundle: Path,
    inputs: tuple[Path, ...],
    top: int,
    engine_name: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what the model of BUNDLE says of INPUTS: pictures, and folders of them, in the bundle's
    own preprocessing; for a model that reads no pictures, a .npy of samples for each of its inputs.
    """
    from edgekit.cli.deployed import open_bundle
    from edgekit.emulate.answers import answering
    from edgekit.emulate.engine import Engine

    deployed = open_bundle(bundle)
    engine = {"reference": None, "litert": Engine.LITERT_XNNPACK, "tflm": Engine.TFLM}[engine_name]
    with (
        progress_bars(quiet or as_json) as progress,
        answering(engine, deployed.graph, deployed.tflite) as answer,
    ):
        unreadable: list[tuple[str, InputError]] = []
        if deployed.preprocessing is None:
            found = _of_arrays(deployed, inputs, answer, top)
        else:
            found, unreadable = _of_pictures(deployed, inputs, answer, top, progress)
    failed = [{"input": name, "error": str(error)} for name, error in unreadable]
    _show(
        {
            "bundle": bundle.as_posix(),
            "engine": engine_name,
            "predictions": found,
            "unreadable": failed,
        },
        as_json,
    )
    if len(unreadable) == 1:
        raise unreadable[0][1]
    if unreadable:
        raise InputError(
            f"{len(unreadable)} pictures could not be read, the first because: {unreadable[0][1]}",
            hint="--json lists all of them.",
        )


def _of_pictures(
    deployed: Deployed,
    inputs: Sequence[Path],
    answer: Answer,
    top: int,
    progress: Progress,
) -> tuple[list[Plain], list[tuple[str, InputError]]]:
    """(predictions, pictures that could not be read), both in the order of the pictures."""
    import numpy as np

    from edgekit.data.pictures import read_picture
    from edgekit.report.evaluate import network_input

    contract = deployed.preprocessing
    assert contract is not None  # the caller asked
    files = _files(inputs)
    found: list[Plain] = []
    unreadable: list[tuple[str, InputError]] = []
    for start in range(0, len(files), _TOGETHER):
        names, pixels = [], []
        for file in files[start : start + _TOGETHER]:
            try:
                pixels.append(contract.pixels(read_picture(file)))
                names.append(file.as_posix())
            except InputError as error:
                unreadable.append((file.as_posix(), error))
        if names:
            batch = network_input(deployed.graph, contract, np.stack(pixels))
            found += _named(deployed, names, answer([batch[:, None]]), top)
        progress("predict", min(start + _TOGETHER, len(files)), len(files))
    return found, unreadable


def _files(inputs: Sequence[Path]) -> list[Path]:
    """The files named, and every picture in the folders named."""
    from edgekit.data.pictures import FORMATS_HINT, picture_paths

    files: list[Path] = []
    for path in inputs:
        inside = picture_paths(path)[0] if path.is_dir() else [path]
        if not inside:
            raise InputError(f"There is no picture in {path}.", hint=FORMATS_HINT)
        files += inside
    return files


def _of_arrays(deployed: Deployed, inputs: Sequence[Path], answer: Answer, top: int) -> list[Plain]:
    from edgekit.cli.inputs import array_files

    arrays = array_files(inputs, deployed.graph)
    names = [f"{inputs[0].as_posix()}[{index}]" for index in range(len(arrays[0]))]
    return _named(deployed, names, answer(arrays), top)


def _named(
    deployed: Deployed, names: Sequence[str], outputs: Sequence[Values], top: int
) -> list[Plain]:
    from edgekit.emulate.prediction import prediction
    from edgekit.emulate.samples import each

    features = bool(deployed.bundle.provenance.get("embedding"))
    return [
        {
            "input": name,
            **prediction(deployed.graph, sample, deployed.labels, top, embedding=features),
        }
        for name, sample in zip(names, each(outputs), strict=True)
    ]


def _show(report: Plain, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for one in report["predictions"]:
        if "top" in one:
            ranked = (f"{_class(place)} {place['score']:.3f}" for place in one["top"])
            click.echo(f"{one['input']}: {', '.join(ranked)}")
            continue
        for output in one["outputs"]:
            click.echo(
                f"{one['input']}: {output['name']} {tuple(output['shape'])}, "
                f"from {output['least']:.4g} to {output['greatest']:.4g}"
            )


def _class(place: Plain) -> str:
    return f"class {place['class']}" if place["label"] is None else str(place["label"])
