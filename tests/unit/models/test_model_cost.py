import pytest

from edgekit.models.cost import cost
from edgekit.models.registry import resolve


@pytest.mark.parametrize(
    ("alpha", "resolution", "params", "macs"),
    [
        # The published table rounds these to 4.24 / 2.59 / 1.34 / 0.47 M parameters (it counts one
        # class more) and, for alpha 1 and 0.5, to 569 / 418 / 291 / 186 and 150 / 110 / 77 / 49 M.
        (1.0, 224, 4_231_976, 568_740_352),
        (1.0, 192, 4_231_976, 418_121_728),
        (1.0, 160, 4_231_976, 290_675_200),
        (1.0, 128, 4_231_976, 186_400_768),
        (0.75, 224, 2_585_560, 325_400_448),
        (0.5, 224, 1_331_592, 149_497_088),
        (0.5, 128, 1_331_592, 49_160_192),
        (0.25, 224, 470_072, 41_030_272),
        (0.25, 128, 470_072, 13_570_048),
    ],
)
def test_mobilenet_v1_costs_what_is_published(
    alpha: float, resolution: int, params: int, macs: int
) -> None:
    total = cost(resolve("mobilenet_v1", alpha, resolution=resolution))
    assert (total.params, total.macs) == (params, macs)


@pytest.mark.parametrize(
    ("name", "macs"),
    [
        # As the papers and torchvision round them.
        ("mobilenet_v2", 300e6),
        ("mobilenet_v3_large", 217e6),
        ("mobilenet_v3_small", 56.5e6),
        ("mobilenet_v3_large_minimalistic", 209e6),
    ],
)
def test_published_networks_take_the_published_macs(name: str, macs: float) -> None:
    assert cost(resolve(name)).macs == pytest.approx(macs, rel=0.005)


def test_the_visual_wake_words_network_of_mlperf_tiny_takes_7_49_million_macs() -> None:
    total = cost(resolve("mobilenet_v1", 0.25, resolution=96, classes=2))
    assert round(total.macs / 1e6, 2) == 7.49


def test_the_table_has_a_row_a_layer() -> None:
    rows = {row.name: row for row in cost(resolve("mobilenet_v1", 0.25, 0.571)).layers}
    depthwise = rows["blocks.1.0.conv_dw"]
    assert (depthwise.kind, depthwise.input_shape, depthwise.output_shape) == (
        "Conv",
        (16, 64, 64),
        (16, 32, 32),
    )
    assert (depthwise.params, depthwise.macs) == (16 * 9, 16 * 9 * 32 * 32)
    assert rows["bn1"].params == 16
    assert rows["classifier"].macs == 256 * 1000
