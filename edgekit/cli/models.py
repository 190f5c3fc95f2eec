"""`edgekit models`: the architectures, their size and their cost, without importing torch."""

from __future__ import annotations

import json

import click


@click.command(
    epilog="""\b
Examples:
  edgekit models
  edgekit models --alpha 0.25 --rho 0.571 --classes 10 --json
"""
)
@click.option("--alpha", type=float, default=1.0, show_default=True, help="Width multiplier.")
@click.option("--rho", type=float, default=1.0, show_default=True, help="Resolution multiplier.")
@click.option("--classes", type=int, default=1000, show_default=True, help="Number of classes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def models(alpha: float, rho: float, classes: int, as_json: bool) -> None:
    """List the architectures with their parameters and MACs."""
    from edgekit.models.registry import catalogue

    rows = catalogue(alpha, rho, classes)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(f"{'name':<34}{'family':<18}{'resolution':>10}{'parameters':>14}{'MACs':>16}")
    for row in rows:
        click.echo(
            f"{row['name']:<34}{row['family']:<18}{row['resolution']:>10}"
            f"{row['params']:>14,}{row['macs']:>16,}"
        )
