"""Compound scaling: depth, width and resolution grow together (Tan and Le 2019, section 3.3).

https://arxiv.org/abs/1905.11946. Enters: a compound coefficient phi, and how much a unit of it adds
to each dimension. Leaves: an architecture of that size, tables of what sizes cost beside the
published ones, and a grid search for the coefficients. Accuracy, by which the paper chose among
candidates of equal cost, takes a training of each and is not looked at here. Free of torch.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

from edgekit.errors import UsageError
from edgekit.models.cost import tree_cost
from edgekit.models.families import efficientnet
from edgekit.models.spec import INPUT_CHANNELS, Architecture

MAX_PHI = 10.0
MAX_COEFFICIENT = 2.0
MAX_RESOLUTION = 2048
DOUBLED = 2.0  # what alpha * beta^2 * gamma^2 should be: each unit of phi doubles the MACs
SMALLEST_STEP = 0.01
# The first three of five halvings divide the picture evenly, and phi = 0.5 gives B1's 240.
_RESOLUTION_STEP = 8
_CLASSES = 1000
_DIGITS = 4  # of depth and width, so that they read as those of a published table


@dataclass(frozen=True)
class Coefficients:
    """How depth (alpha), width (beta) and resolution (gamma) grow with one unit of phi.

    Raises:
        UsageError: one is not in [1, 2].
    """

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 1 <= value <= MAX_COEFFICIENT:
                raise UsageError(
                    f"{name} is {value:g}; it lies between 1 and {MAX_COEFFICIENT:g}.",
                    hint="Published are alpha 1.2, beta 1.1 and gamma 1.15.",
                )

    @property
    def growth(self) -> float:
        """alpha * beta^2 * gamma^2: by what a unit of phi multiplies the MACs, but for rounding."""
        return self.alpha * self.beta**2 * self.gamma**2


@dataclass(frozen=True)
class Size:
    """A network of the family and what it costs with 1,000 classes.

    Attributes:
        name: the architecture's, published or scaled.
        depth, width: multiples of the baseline's.
        resolution: in pixels.
        params, macs: see `cost`.
        phi, coefficients: what it was scaled by; None for a published one.
    """

    name: str
    depth: float
    width: float
    resolution: int
    params: int
    macs: int
    phi: float | None = None
    coefficients: Coefficients | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is None is left out."""
        plain = {key: value for key, value in asdict(self).items() if value is not None}
        return plain if self.coefficients is None else {**plain, "growth": self.coefficients.growth}


def scaled(
    architecture: Architecture, phi: float, coefficients: Coefficients = Coefficients()
) -> Architecture:
    """The architecture at depth alpha^phi, width beta^phi and resolution gamma^phi.

    Depth and width keep four digits; the resolution is the nearest multiple of 8 (halves up).

    Raises:
        UsageError: the architecture is none that is scaled so, phi is out of [-10, 10], or the
            resolution out of range.
    """
    if architecture.compound is None:
        raise UsageError(
            f"{architecture.name} is not scaled by phi.",
            hint=f"phi scales {efficientnet.BASELINE}; others take --alpha and --resolution.",
        )
    depth, width, resolution = _dimensions(architecture.resolution, phi, coefficients)
    return architecture.compound(width, depth, resolution)


def size(phi: float, coefficients: Coefficients = Coefficients()) -> Size:
    """The baseline scaled by phi.

    Raises:
        UsageError: as `scaled`.
    """
    baseline = _published()[efficientnet.BASELINE]
    depth, width, resolution = _dimensions(baseline.resolution, phi, coefficients)
    architecture = scaled(baseline, phi, coefficients)
    return Size(
        architecture.name, depth, width, resolution, *_cost(architecture), phi, coefficients
    )


def published() -> tuple[Size, ...]:
    """B0 to B7 as their authors' code has them."""
    return tuple(
        Size(name, depth, width, resolution, *_cost(_published()[name]))
        for name, (width, depth, resolution, _) in efficientnet.PUBLISHED.items()
    )


def search(step: float = 0.05, count: int = 10) -> tuple[Size, ...]:
    """Of a grid, the coefficients nearest to alpha * beta^2 * gamma^2 = 2, and their cost at phi 1.

    Args:
        step: of the grid, which begins at 1; in [0.01, 1].
        count: how many to keep; of equally near ones those that deepen least come first.

    Raises:
        UsageError: step or count is out of range.
    """
    if not SMALLEST_STEP <= step <= 1:
        raise UsageError(f"The step of the search is {step:g}; it lies in [{SMALLEST_STEP:g}, 1].")
    if count < 1:
        raise UsageError(f"The search keeps at least 1 candidate, not {count}.")
    # The dimensions that count twice reach 2 at its square root.
    linear, square = _grid(step, DOUBLED), _grid(step, math.sqrt(DOUBLED))
    grid = (Coefficients(*point) for point in product(linear, square, square))
    nearest = sorted(grid, key=lambda point: round(abs(point.growth - DOUBLED), 9))
    return tuple(size(1.0, point) for point in nearest[:count])


def _grid(step: float, end: float) -> list[float]:
    return [round(1 + i * step, _DIGITS) for i in range(int((end - 1) / step + 1e-9) + 1)]


def _dimensions(
    resolution: int, phi: float, coefficients: Coefficients
) -> tuple[float, float, int]:
    """(depth, width, resolution) at phi of a baseline of that resolution."""
    if not -MAX_PHI <= phi <= MAX_PHI:  # NaN compares false
        raise UsageError(
            f"phi is {phi:g}; it lies between {-MAX_PHI:g} and {MAX_PHI:g}.",
            hint="0 is the baseline, 7 costs what B7 does; below 0 the network shrinks.",
        )
    pixels = resolution * coefficients.gamma**phi
    nearest = math.floor(pixels / _RESOLUTION_STEP + 0.5) * _RESOLUTION_STEP
    if not _RESOLUTION_STEP <= nearest <= MAX_RESOLUTION:
        raise UsageError(
            f"phi {phi:g} with gamma {coefficients.gamma:g} asks for {pixels:.0f} pixels; "
            f"they lie between {_RESOLUTION_STEP} and {MAX_RESOLUTION:,}."
        )
    depth = round(coefficients.alpha**phi, _DIGITS)
    return depth, round(coefficients.beta**phi, _DIGITS), nearest


def _published() -> dict[str, Architecture]:
    return {architecture.name: architecture for architecture in efficientnet.ARCHITECTURES}


def _cost(architecture: Architecture) -> tuple[int, int]:
    """(parameters, MACs) with 1,000 classes."""
    side = architecture.resolution
    tree = architecture.layers(1.0, _CLASSES, "same")
    total = tree_cost(tree, (INPUT_CHANNELS, side, side))
    return total.params, total.macs
