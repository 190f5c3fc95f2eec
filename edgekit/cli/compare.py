"""`edgekit compare`: builds side by side."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgekit.errors import InputError, UsageError


@click.command(
    epilog="""\b
Examples:
  edgekit compare build/plain build/repaired
  edgekit compare build/mobilenet_v1_* --json
"""
)
@click.argument("bundles", nargs=-1, metavar="A B [C ...]", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def compare(bundles: tuple[Path, ...], as_json: bool) -> None:
    """Show what builds cost and how well they answer, a column for each bundle.

    Layers are compared where a bundle was built with --diagnose or --repair.
    """
    from edgekit.emit.bundle import REPORT, read_bundle
    from edgekit.report.comparison import comparison, row

    if len(bundles) < 2:
        raise UsageError("Name two bundles or more to compare.")
    rows = []
    for name, bundle in zip(_names(bundles), bundles, strict=True):
        report = read_bundle(bundle).report()
        if report is None:
            raise InputError(f"The bundle {bundle} has no {REPORT}.", hint="Build it again.")
        try:
            rows.append(row(name, report))
        except (LookupError, TypeError, AttributeError) as error:
            raise InputError(
                f"{bundle / REPORT} is damaged, or another version of edgekit wrote it.",
                hint="Build the bundle again.",
            ) from error
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from edgekit.cli.console import print_result

    print_result(comparison(rows))


def _names(bundles: tuple[Path, ...]) -> list[str]:
    """The folders' names, or their paths where names are alike."""
    names = [bundle.resolve().name for bundle in bundles]
    return names if len(set(names)) == len(names) else [str(bundle) for bundle in bundles]
