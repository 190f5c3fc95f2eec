"""`edgekit build`: from an architecture, or somebody's model, to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import print_result, progress_bars
from edgekit.cli.options import (
    CACHE,
    DATA,
    NETWORK,
    PICTURES,
    PRINTING,
    PRUNING,
    RAM,
    START,
    TEACHER,
    TRAINING,
    options,
)
from edgekit.errors import AccuracyDropError


@click.command(
    epilog="""\b
Examples:
  edgekit build mobilenet_v1 --alpha 0.25 --rho 0.571 --target coral
  edgekit build mobilenet_v1 --alpha 0.5 --resolution 96 --target tflm --board nucleo_h743zi
  edgekit build mobilenet_v1 --alpha 0.25 --data photos/ --target rpi --max-drop 1 --json
  edgekit build mobilenet_v2 --weights imagenet --freeze-backbone --data photos/ --target coral
  edgekit build efficientnet_b0 --phi -2 --target rpi
  edgekit build --model other.onnx --data photos/ --mean 123.7,116.3,103.5 --std 58.4,57.1,57.4 \\
      --target coral
  edgekit build mobilenet_v2 --alpha 0.35 --target tflm --repair --max-drop 0.2
  edgekit build --model keywords_int8.tflite --target tflm
  edgekit build --model keywords_int8.tflite --target c --board nucleo_f446re
  edgekit build --model keywords_int8.tflite --target c --board rpi_pico --ram
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
@options(NETWORK, DATA)
@click.option(
    "--samples",
    type=click.Path(path_type=Path),
    help="A .npy of inputs (n, ...) to calibrate a --model that reads no pictures.",
)
@click.option("--labels", type=click.Path(path_type=Path), help="Class names, one a line.")
@options(PICTURES)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Load these (.pth, .safetensors, .tflite, or 'imagenet') instead of training. With "
    "another number of classes the classifier is replaced and the network fine-tuned.",
)
@click.option("--fine-tune", is_flag=True, help="Train the loaded --weights further in any case.")
@options(START, PRUNING, TEACHER, TRAINING)
@click.option(
    "--calibration-images",
    "--calib",
    "calibration_images",
    type=int,
    help="Images that set the integer ranges; 200, or all there are, if not given.",
)
@click.option(
    "--calib-dir",
    type=click.Path(path_type=Path),
    help="Calibrate on the pictures of this folder, labelled or not, in place of the data's.",
)
@click.option(
    "--calibration",
    type=click.Choice(["auto", "minmax", "average", "percentile", "mse", "kl"]),
    default="minmax",
    show_default=True,
    help="What sets an activation's range; auto: for each, what its readers come off best with.",
)
@click.option(
    "--converter",
    type=click.Choice(["edgekit", "tensorflow"]),
    default="edgekit",
    show_default=True,
    help="Who quantizes: edgekit, or TensorFlow's TFLiteConverter as a second opinion.",
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
@click.option(
    "--repair",
    is_flag=False,
    flag_value="all",
    metavar="[NAME,..]",
    help="Repair int8 accuracy, rung by rung, until --max-drop is kept on the validation split; "
    "with names (--repair=bias-correction), just these.",
)
@click.option(
    "--diagnose",
    is_flag=True,
    help="Say which layers int8 hurts (`edgekit show --layers`); --repair does so too.",
)
@click.option(
    "--fold/--no-fold",
    default=None,
    help="Leave out channels that cannot change the int8 model's outputs: the same bits with less "
    "work. Default: in the program of target c; other targets get a smaller file if asked for.",
)
@options(RAM, CACHE)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Bundle folder, instead of build/NAME/."
)
@options(PRINTING)
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
    from edgekit.report.summary import summary

    print_result(summary(report))
    click.echo(f"bundle: {path}")
