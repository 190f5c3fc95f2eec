"""`edgekit build`: from an architecture, or somebody's model, to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import progress_bars
from edgekit.errors import AccuracyDropError


def _numbers(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...] | None:
    """ "1,2.5" -> (1.0, 2.5)."""
    try:
        return None if value is None else tuple(float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"'{value}' is not a list of numbers") from None


@click.command(
    epilog="""\b
Examples:
  edgekit build mobilenet_v1 --alpha 0.25 --rho 0.571 --target coral
  edgekit build mobilenet_v1 --alpha 0.5 --resolution 96 --target tflm --board nucleo_h743zi
  edgekit build mobilenet_v1 --alpha 0.25 --data photos/ --target rpi --max-drop 1 --json
  edgekit build --model other.onnx --data photos/ --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4 \\
      --target coral
  edgekit build --model keywords_int8.tflite --target tflm
  edgekit build --model keywords_int8.tflite --target c --board nucleo_f446re
"""
)
@click.argument("arch", required=False)
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="A ready .onnx (float32) or .tflite (int8) instead of an architecture.",
)
@click.option("--target", required=True, help="What to build for: coral, rpi, tflm or c.")
@click.option("--board", help="Which board; the target's usual one if not given.")
@click.option("--alpha", type=float, default=1.0, show_default=True, help="Width multiplier.")
@click.option("--rho", type=float, default=1.0, show_default=True, help="Resolution multiplier.")
@click.option("--resolution", type=int, help="Input height and width in pixels, instead of --rho.")
@click.option("--data", help="Folder of class folders, or 'fashion_mnist'. Default: embedded set.")
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="A .npy of inputs (n, ...) to calibrate a --model that reads no pictures.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one a line.")
@click.option(
    "--mean",
    callback=_numbers,
    metavar="N,..",
    help="Of the pictures' pixels (0..255), 1 or 3 numbers.",
)
@click.option("--std", callback=_numbers, metavar="N,..", help="Their deviation, likewise.")
@click.option("--color", type=click.Choice(["RGB", "BGR", "L"]), help="Channel order.")
@click.option(
    "--resize",
    type=click.Choice(["stretch", "center_crop"]),
    help="How a picture gets the network's size.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Load these (.pth, .safetensors) instead of training.",
)
@click.option(
    "--padding",
    type=click.Choice(["same", "torch"]),
    default="same",
    show_default=True,
    help="TFLite's, or the symmetric one that torchvision's and timm's checkpoints need.",
)
@click.option(
    "--prune",
    type=float,
    metavar="RATIO",
    help="Remove this share of the channels, in multiples of 8, then train a little further.",
)
@click.option("--epochs", type=click.IntRange(1), help="Training epochs.")
@click.option("--threads", type=click.IntRange(1), help="Default: the faster of 1 and all.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option(
    "--calibration-images",
    type=int,
    default=200,
    show_default=True,
    help="Images that set the integer ranges.",
)
@click.option("--logits", is_flag=True, help="Leave softmax out of the int8 model.")
@click.option(
    "--embedding", is_flag=True, help="Leave the classifier out: the output is a feature vector."
)
@click.option(
    "--max-drop",
    type=click.FloatRange(0),
    metavar="PTS",
    help="Fail (exit 6) when int8 costs more points than this on the validation split.",
)
@click.option("--retrain", is_flag=True, help="Train even if the same training was done before.")
@click.option("--resume", is_flag=True, help="Go on with the interrupted training.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Bundle folder, instead of build/NAME/."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON on stdout.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def build(as_json: bool, quiet: bool, **request: Any) -> None:
    """Train or load ARCH (or take --model), quantize to int8, verify, and bundle for a target."""
    from edgekit.pipeline import Request
    from edgekit.pipeline import build as run

    with progress_bars(quiet) as progress:
        done = run(Request(**request), progress)
    if as_json:
        click.echo(json.dumps(done.report, indent=2))
    else:
        _show(done.report, done.path)
    gate = done.report.get("gate")
    if gate and not gate["passed"]:
        raise AccuracyDropError(
            f"int8 costs {gate['drop']:.2f} points on the {gate['split']} split; "
            f"{gate['max_drop']:.2f} are allowed.",
            hint=f"The bundle in {done.path} is kept and marked.",
        )


def _show(report: dict[str, object], path: Path) -> None:
    from rich.console import Console

    from edgekit.report.summary import summary

    console = Console()
    console.print(summary(report))
    console.print(f"bundle: {path}", highlight=False, soft_wrap=True)
