"""`edgekit train`: from an architecture to a checkpoint, on one machine or several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edgekit.cli.console import progress_bars
from edgekit.cli.options import (
    CACHE,
    DATA,
    NETWORK,
    PICTURES,
    PRINTING,
    PRUNING,
    START,
    TEACHER,
    TRAINING,
    options,
)


@click.command(
    epilog="""\b
Examples:
  edgekit train mobilenet_v1 --alpha 0.25 --resolution 96 --data photos/ -o mine.safetensors
  edgekit train mobilenet_v1 --alpha 0.5 --devices 2
  edgekit train mobilenet_v1 --alpha 0.25 --teacher mobilenet_v1 \\
      --teacher-weights build/mobilenet_v1_1.0_224.safetensors
  torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 \\
      -m edgekit train mobilenet_v2 --devices 4 --num-nodes 2 --accelerator gpu --data photos/
"""
)
@click.argument("arch")
@options(NETWORK, DATA, PICTURES)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    help="Start from these (.pth, .safetensors, .tflite, or 'imagenet'), more gently.",
)
@options(START, PRUNING, TEACHER, TRAINING)
@click.option(
    "--devices",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes on each machine, a GPU or a part of the cores each.",
)
@click.option("--num-nodes", type=click.IntRange(1), default=1, show_default=True, help="Machines.")
@click.option(
    "--accelerator",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="cpu",
    show_default=True,
    help="What computes; auto takes GPUs where there are any.",
)
@click.option(
    "--strategy",
    type=click.Choice(["auto", "ddp"]),
    default="auto",
    show_default=True,
    help="How processes work together.",
)
@click.option(
    "--precision",
    type=click.Choice(["32-true", "bf16-mixed", "16-mixed"]),
    default="32-true",
    show_default=True,
    help="Of convolutions and matrix products; weights stay float32.",
)
@options(CACHE)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The .safetensors file, instead of build/NAME.safetensors.",
)
@options(PRINTING)
def train(
    as_json: bool,
    quiet: bool,
    devices: int,
    num_nodes: int,
    accelerator: Any,
    strategy: Any,
    **request: Any,
) -> None:
    """Train ARCH and write its weights, without building a bundle.

    `edgekit build ARCH --weights FILE` takes the checkpoint. No training is done twice.
    """
    from edgekit.stages.request import TrainRequest
    from edgekit.stages.train import train as run
    from edgekit.training.distribution import Distribution

    wanted = TrainRequest(
        **request,
        fine_tune=request["weights"] is not None,
        distribution=Distribution(devices, num_nodes, accelerator, strategy),
    )
    with progress_bars(quiet) as progress:
        saved = run(wanted, progress)
    if saved is None:  # another process speaks for all
        return
    if as_json:
        click.echo(json.dumps(saved.report, indent=2))
    else:
        _show(saved.report)


def _show(report: dict[str, Any]) -> None:
    test = report["test"]
    click.echo(f"test top-1: {test['top1']:.2f} % of {test['images']:,} images")
    for warning in report["warnings"]:
        click.echo(f"note: {warning}")
    click.echo(f"checkpoint: {report['checkpoint']}")
