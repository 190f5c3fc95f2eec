"""`edgekit sensitivity`: which layers of a network can lose channels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_result, progress_bars
from edgekit.cli.options import CACHE, DATA, NETWORK, PICTURES, PRINTING, TRAINING, options
from edgekit.errors import OutputError


@click.command(
    epilog="""\b
Examples:
  edgekit sensitivity mobilenet_v1 --alpha 0.25 --resolution 64
  edgekit sensitivity resnet20 --weights mine.safetensors --by taylor --plot layers.svg
"""
)
@click.argument("arch")
@options(NETWORK, DATA, PICTURES)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Judge these (.pth, .safetensors, .tflite, or 'imagenet') instead of training.",
)
@click.option(
    "--by",
    "criterion",
    type=click.Choice(["magnitude", "bn-scale", "taylor", "fpgm"]),
    default="magnitude",
    show_default=True,
    help="Which channels of a layer leave first.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it to this SVG file.")
@options(TRAINING, CACHE, PRINTING)
def sensitivity(
    as_json: bool, quiet: bool, criterion: Any, plot: Path | None, **request: Any
) -> None:
    """Judge ARCH without a quarter, a half and three quarters of each layer's channels, one layer
    at a time and without training: the layers that hardly matter are those to prune.
    """
    from edgekit.report import sensitivity as report
    from edgekit.stages.request import TrainRequest
    from edgekit.stages.sensitivity import sensitivity as run

    with progress_bars(quiet) as progress:
        found = run(TrainRequest(**request), criterion, progress)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_result(report.table(found))
    if plot:
        try:
            plot.write_text(report.plot(found), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"Cannot write {plot}: {error.strerror}.") from error
