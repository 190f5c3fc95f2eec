"""`edgekit boards`: what edgekit knows how to deploy to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edgekit.plan.boards import Memory


@click.command(epilog="\b\nExample:\n  edgekit boards --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
def boards(as_json: bool) -> None:
    """List the boards with their target, core and memory."""
    from edgekit.plan.boards import load, names

    known = [load(name) for name in names()]
    if as_json:
        click.echo(json.dumps([board.model_dump() for board in known], indent=2))
        return
    click.echo(f"{'board':<24}{'target':<10}{'core':<14}{'RAM':>12}{'flash':>12}  name")
    for board in known:
        sizes = (_size(region) for region in (board.arena_region, board.flash_region))
        usual = f" (default for {', '.join(board.default_for)})" if board.default_for else ""
        click.echo(
            f"{board.id:<24}{', '.join(board.backends):<10}{board.core:<14}"
            + "".join(f"{size:>12}" for size in sizes)
            + f"  {board.name}{usual}"
        )


def _size(region: Memory | None) -> str:
    if region is None:
        return "-"
    amount, unit = region.bytes / 1024, "KiB"
    for larger in ("MiB", "GiB"):
        if amount >= 1024:
            amount, unit = amount / 1024, larger
    return f"{amount:,.0f} {unit}"
