"""`edgekit analyze`: what a network costs, before it is trained or flashed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from edgekit.cli.options import NETWORK, numbers, options
from edgekit.errors import EdgekitError, InputError, OutputError, UsageError

if TYPE_CHECKING:
    from edgekit.graph.ir import Graph

_PUBLISHED_RHOS = (0.571, 0.714, 0.857, 1.0)
_ONE, _SWEEPING = ("alpha", "rho", "resolution"), ("alphas", "rhos", "plot")
_SUFFIXES = (".onnx", ".tflite")


@click.command(
    epilog="""\b
Examples:
  edgekit analyze mobilenet_v1 --alpha 0.25 --rho 0.571 --classes 10
  edgekit analyze efficientnet_b0 --phi 0.5
  edgekit analyze model_int8.tflite
  edgekit analyze mobilenet_v2 --sweep --plot family.svg
  edgekit analyze mobilenet_v1 --sweep --alphas 0.25,0.35 --rhos 0.429,0.571 --json
"""
)
@click.argument("network", metavar="ARCH|FILE")
@options(NETWORK)
@click.option("--classes", type=int, default=1000, show_default=True, help="Number of classes.")
@click.option("--sweep", is_flag=True, help="All published widths and resolutions as a table.")
@click.option("--alphas", callback=numbers, metavar="N,..", help="Widths of the sweep.")
@click.option("--rhos", callback=numbers, metavar="N,..", help="Resolutions of the sweep.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the sweep to this SVG file.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.pass_context
def analyze(
    ctx: click.Context,
    network: str,
    alpha: float,
    rho: float,
    resolution: int | None,
    phi: float | None,
    classes: int,
    sweep: bool,
    alphas: tuple[float, ...] | None,
    rhos: tuple[float, ...] | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Show the layers of an architecture, or of a .onnx or .tflite FILE: shapes, parameters, MACs,
    memory, and what depthwise separable convolutions save. Nothing is trained.
    """
    if sweep:
        _refuse(ctx, _ONE, "is for one network: a sweep takes --alphas and --rhos")
        _sweep(network, alphas, rhos, classes, phi, plot, as_json)
        return
    _refuse(ctx, _SWEEPING, "goes with --sweep")
    if network.endswith(_SUFFIXES):
        _refuse(ctx, (*_ONE, "phi", "classes"), "is for architectures: a file is as it is")
    report = _report(network, alpha, rho, resolution, classes, phi)
    from edgekit.report.analysis import analysis_text

    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(analysis_text(report)))


def _refuse(ctx: click.Context, names: tuple[str, ...], why: str) -> None:
    """Refuse options that would be without effect."""
    for name in names:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise UsageError(f"--{name} {why}.")


def _report(
    network: str,
    alpha: float,
    rho: float,
    resolution: int | None,
    classes: int,
    phi: float | None,
) -> dict[str, Any]:
    from edgekit.models import registry
    from edgekit.report.analysis import analyse, analyse_spec

    path = Path(network)
    if path.suffix in _SUFFIXES:
        return analyse(_read(path), path.name)
    return analyse_spec(registry.resolve(network, alpha, rho, resolution, classes, phi=phi))


def _read(path: Path) -> Graph:
    """The graph of a file; errors begin with the file's name."""
    from edgekit.convert import onnx_graph, tflite_reader

    try:
        if path.suffix == ".tflite":
            return tflite_reader.read(path.read_bytes(), allow_opaque=True)
        return onnx_graph.read(path)
    except OSError as error:
        raise InputError(f"The model {path} cannot be read: {error.strerror}.") from error
    except EdgekitError as error:
        raise type(error)(f"{path}: {error}", hint=error.hint) from error


def _sweep(
    arch: str,
    alphas: tuple[float, ...] | None,
    rhos: tuple[float, ...] | None,
    classes: int,
    phi: float | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    from edgekit.models import registry
    from edgekit.report.analysis import sweep, sweep_text
    from edgekit.report.sweep_plot import sweep_plot

    widths = alphas or registry.get(arch).alphas
    points = sweep(arch, widths, rhos or _PUBLISHED_RHOS, classes, phi)
    click.echo(json.dumps(points, indent=2) if as_json else "\n".join(sweep_text(points)))
    if plot:
        try:
            plot.write_text(sweep_plot(points), encoding="utf-8")
        except OSError as error:
            raise OutputError(f"Cannot write {plot}: {error.strerror}.") from error
