import pytest

from edgekit.models.width import divisible


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(16, 16), (0.1, 8), (11.9, 16), (12, 16), (19, 24), (20, 24), (43.2, 40), (44.5, 48)],
)
def test_channels_become_the_nearest_multiple_of_8_but_lose_no_tenth(
    channels: float, rounded: int
) -> None:
    assert divisible(channels) == rounded


def test_another_divisor() -> None:
    assert divisible(17, 4) == 16
