"""`edgekit show`: the report of a bundle again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.errors import InputError


@click.command(epilog="\b\nExample:\n  edgekit show build/mobilenet_v1_0.25_128_coral")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def show(bundle: Path, as_json: bool) -> None:
    """Show the report of BUNDLE, a folder that `edgekit build` made."""
    path = bundle / "report.json"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read: {error}", hint="Name a folder that `edgekit build` made."
        ) from error
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.summary import summary

    print_result(summary(report))
