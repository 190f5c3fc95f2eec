"""`edgekit show`: the report of a bundle again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.errors import InputError


@click.command(
    epilog="""\b
Examples:
  edgekit show build/mobilenet_v1_0.25_128_coral
  edgekit show build/mobilenet_v1_0.25_128_coral --layers
"""
)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--layers", "only_layers", is_flag=True, help="Where int8 hurts, layer by layer.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def show(bundle: Path, only_layers: bool, as_json: bool) -> None:
    """Show the report of BUNDLE, a folder that `edgekit build` made."""
    from edgekit.emit.bundle import REPORT, read_bundle

    report = read_bundle(bundle).report()
    if report is None:
        raise InputError(f"The bundle {bundle} has no {REPORT}.", hint="Build it again.")
    if only_layers and not report.get("layers"):
        raise InputError(
            f"The bundle {bundle} was built without a look at its layers.",
            hint="Build it again with --diagnose, or with --repair.",
        )
    if as_json:
        parts = {key: report[key] for key in ("layers", "suspects")} if only_layers else report
        click.echo(json.dumps(parts, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.layers import layers
    from edgekit.report.summary import summary

    try:
        shown = layers(report) if only_layers else summary(report)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{bundle / REPORT} is damaged, or another version of edgekit wrote it.",
            hint="Build the bundle again; --json prints what there is.",
        ) from error
    print_result(shown)
