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
    from edgekit.emit.bundle import REPORT, read_bundle

    report = read_bundle(bundle).report()
    if report is None:
        raise InputError(f"The bundle {bundle} has no {REPORT}.", hint="Build it again.")
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    from edgekit.cli.console import print_result
    from edgekit.report.summary import summary

    try:
        shown = summary(report)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{bundle / REPORT} is damaged, or another version of edgekit wrote it.",
            hint="Build the bundle again; --json prints what there is.",
        ) from error
    print_result(shown)
