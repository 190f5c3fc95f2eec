"""`edgekit scale`: compound scaling of EfficientNet, without importing torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from edgekit.errors import UsageError

if TYPE_CHECKING:
    from edgekit.models.scaling import Size

_SCALING = ("phi", "alpha", "beta", "gamma")
_SEARCHING = ("step", "top")
_NOTE = (
    "Accuracy, by which the paper chose 1.2, 1.1 and 1.15 among such candidates, is not measured "
    "here: it takes a training of each."
)
_HEADER = (
    f"  {'alpha beta gamma -> growth':<26}{'depth':>8}{'width':>8}{'resolution':>12}"
    f"{'parameters':>14}{'MACs':>17}{'x B0':>9}"
)


@click.command(
    epilog="""\b
Examples:
  edgekit scale
  edgekit scale --phi 2
  edgekit scale --phi -1 --alpha 1.1 --beta 1.15 --gamma 1.2 --json
  edgekit scale --search --step 0.1 --top 20

\b
`edgekit build efficientnet_b0 --phi 0.5` builds a scaled network, with the published coefficients.
"""
)
@click.option("--phi", default=1.0, show_default=True, help="Compound coefficient, -10 to 10.")
@click.option("--alpha", default=1.2, show_default=True, help="Depth for each unit of phi.")
@click.option("--beta", default=1.1, show_default=True, help="Width for each unit of phi.")
@click.option("--gamma", default=1.15, show_default=True, help="Resolution for each unit of phi.")
@click.option(
    "--search",
    is_flag=True,
    help="List the coefficients of a grid that come nearest to alpha * beta^2 * gamma^2 = 2.",
)
@click.option("--step", default=0.05, show_default=True, help="Step of the grid.")
@click.option("--top", default=10, show_default=True, help="How many of them to list.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")
@click.pass_context
def scale(
    ctx: click.Context,
    phi: float,
    alpha: float,
    beta: float,
    gamma: float,
    search: bool,
    step: float,
    top: int,
    as_json: bool,
) -> None:
    """Scale EfficientNet-B0 to depth alpha^PHI, width beta^PHI and resolution gamma^PHI, and show
    what that costs beside the published B0 to B7.
    """
    from edgekit.models import scaling

    _refuse(ctx, _SCALING if search else _SEARCHING, search)
    published = scaling.published()
    if search:
        title, note = f"nearest to alpha * beta^2 * gamma^2 = {scaling.DOUBLED:g}, at phi 1", _NOTE
        sizes = scaling.search(step, top)
    else:
        title, note = f"scaled by phi {phi:g}", None
        sizes = (scaling.size(phi, scaling.Coefficients(alpha, beta, gamma)),)
    if as_json:
        tables = {"scaled": sizes, "published": published}
        rows = {name: [size.to_json() for size in table] for name, table in tables.items()}
        click.echo(json.dumps({**rows, "note": note} if note else rows, indent=2))
        return
    click.echo(_HEADER)
    _echo_rows(title, sizes, published[0])
    _echo_rows("published", published, published[0])
    if note:
        click.echo(f"\n{note}")


def _refuse(ctx: click.Context, names: tuple[str, ...], search: bool) -> None:
    """Refuse options that would be without effect."""
    for name in names:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise UsageError(
                f"--{name} contradicts --search, which looks for alpha, beta and gamma at phi 1."
                if search
                else f"--{name} is for --search."
            )


def _echo_rows(title: str, sizes: Iterable[Size], baseline: Size) -> None:
    click.echo(f"{title}:")
    for size in sizes:
        c = size.coefficients
        shown = f"{c.alpha:g} {c.beta:g} {c.gamma:g} -> {c.growth:.3f}" if c else size.name
        click.echo(
            f"  {shown:<26}{size.depth:>8.3f}{size.width:>8.3f}{size.resolution:>12}"
            f"{size.params:>14,}{size.macs:>17,}{size.macs / baseline.macs:>9.2f}"
        )
