"""Compound scaling: its arithmetic, its table, its search, and networks made by phi."""

import json
from typing import Any

import pytest

from edgekit.errors import UsageError
from edgekit.models.cost import cost
from edgekit.models.families import efficientnet
from edgekit.models.registry import get, resolve
from edgekit.models.scaling import Coefficients, published, scaled, search, size

# Tan and Le 2019: parameters and the authors' depth, width and resolution of B0 to B7.
PARAMETERS = (
    5_288_548,
    7_794_184,
    9_109_994,
    12_233_232,
    19_341_616,
    30_389_784,
    43_040_704,
    66_347_960,
)


def test_the_published_sizes_have_the_published_parameters() -> None:
    assert tuple(row.params for row in published()) == PARAMETERS
    b0, *_, b7 = published()
    assert b0.macs == pytest.approx(0.39e9, rel=0.02)
    assert (b7.depth, b7.width, b7.resolution) == (3.1, 2.0, 600)


@pytest.mark.parametrize("name", efficientnet.PUBLISHED)
def test_the_baseline_at_published_dimensions_is_the_published_network(name: str) -> None:
    compound = get("efficientnet_b0").compound
    assert compound is not None
    width, depth, resolution, _ = efficientnet.PUBLISHED[name]
    own, other = compound(width, depth, resolution), get(name)
    assert own.resolution == other.resolution
    assert own.layers(1.0, 10, "same").output_shape((3, 64, 64)) == (10,)
    if efficientnet.PUBLISHED[name][3] == efficientnet.PUBLISHED["efficientnet_b0"][3]:
        assert own.layers(1.0, 10, "same") == other.layers(1.0, 10, "same")


def test_phi_0_is_the_baseline_and_half_a_phi_is_nearly_b1() -> None:
    assert resolve("efficientnet_b0", phi=0).layers == resolve("efficientnet_b0").layers
    half = resolve("efficientnet_b0", phi=0.5)
    assert half.resolution == 240
    assert (size(0.5).depth, size(0.5).width) == (1.0954, 1.0488)
    assert size(0.5).macs == cost(half).macs


def test_negative_phi_shrinks_and_every_phi_in_range_gives_a_network() -> None:
    sizes = [size(phi) for phi in (-10, -4, -1, 0, 1, 4, 10)]
    macs = [row.macs for row in sizes]
    assert macs == sorted(macs)
    assert sizes[0].resolution == 56 and sizes[-1].resolution == 904


def test_coefficients_scale_each_its_own_dimension() -> None:
    assert Coefficients().growth == pytest.approx(1.92, abs=0.001)
    deep = size(1, Coefficients(2.0, 1.0, 1.0))
    assert (deep.depth, deep.width, deep.resolution) == (2.0, 1.0, 224)
    wide = size(1, Coefficients(1.0, 2.0, 1.0))
    assert (wide.depth, wide.width, wide.resolution) == (1.0, 2.0, 224)
    fine = size(1, Coefficients(1.0, 1.0, 2.0))
    assert (fine.depth, fine.width, fine.resolution) == (1.0, 1.0, 448)
    assert fine.macs == pytest.approx(4 * size(0).macs, rel=0.01)


def test_a_scaled_spec_can_be_made_again_from_json_and_scales_further() -> None:
    spec = resolve("efficientnet_b0", 0.5, 0.571, classes=10, phi=1.5)
    again = json.loads(json.dumps(spec.to_json()))
    assert resolve(**again) == spec
    assert resolve(**again).layers == spec.layers
    assert spec.resolution == 160  # 0.571 of 280, to a multiple of 32
    assert "phi" not in resolve("efficientnet_b0").to_json()


@pytest.mark.parametrize(
    ("wish", "message", "hint"),
    [
        ({"phi": 10.5}, "phi is 10.5; it lies between -10 and 10", "baseline"),
        ({"phi": float("nan")}, "phi is nan", "baseline"),
        ({"phi": float("-inf")}, "phi is -inf", "baseline"),
        (
            {"arch": "efficientnet_b1", "phi": 1.0},
            "efficientnet_b1 is not scaled",
            "efficientnet_b0",
        ),
        ({"arch": "mobilenet_v1", "phi": 1.0}, "mobilenet_v1 is not scaled by phi", "--alpha"),
        ({"arch": "efficientnet_lite0", "phi": 0.0}, "lite0 is not scaled", "--resolution"),
    ],
)
def test_phi_that_cannot_be_is_refused(wish: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        resolve(**{"arch": "efficientnet_b0", **wish})
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"), [("alpha", 0.9), ("beta", 2.1), ("gamma", float("nan"))]
)
def test_coefficients_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name} is {value:g}; it lies between 1 and 2"):
        Coefficients(**{name: value})


def test_a_picture_of_impossible_size_is_refused() -> None:
    steep = Coefficients(1.0, 1.0, 2.0)
    for phi in (4.0, -9.0):
        with pytest.raises(UsageError, match="pixels; they lie between 8 and 2,048"):
            scaled(get("efficientnet_b0"), phi, steep)


def test_the_search_lists_the_grid_by_its_distance_from_doubling() -> None:
    found = search(0.05, 90)
    points = [row.coefficients for row in found]
    assert Coefficients() in points
    distances = [round(abs(point.growth - 2), 9) for point in points if point]
    assert distances == sorted(distances)
    assert len(points) == len(set(points)) == 90
    assert all(row.phi == 1 for row in found)
    b2 = next(row for row in found if row.coefficients == Coefficients())
    assert (b2.params, b2.depth, b2.width) == (9_109_994, 1.2, 1.1)


@pytest.mark.parametrize(
    ("step", "count"), [(0.0, 5), (-0.1, 5), (1.5, 5), (float("nan"), 5), (0.05, 0)]
)
def test_a_search_without_a_grid_is_refused(step: float, count: int) -> None:
    with pytest.raises(UsageError, match="search"):
        search(step, count)
