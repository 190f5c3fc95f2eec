from pathlib import Path

import pytest

from edgekit import resources


def test_the_shipped_data_is_where_it_is_said_to_be() -> None:
    assert (resources.targets_dir() / "coral_usb.toml").is_file()
    assert (resources.templates_dir() / "tflm/main.cc").is_file()
    assert (resources.calibration_dir() / "fashion_mnist/manifest.toml").is_file()


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("/own", "/xdg", "/own"),
        ("", "/xdg", "/xdg/edgekit"),
        ("", "", "/home/somebody/.cache/edgekit"),
    ],
)
def test_the_cache_is_where_the_nearest_variable_says(
    own: str, xdg: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("EDGEKIT_CACHE", own),
        ("XDG_CACHE_HOME", xdg),
        ("HOME", "/home/somebody"),
    ):
        monkeypatch.setenv(name, value)
    assert resources.cache_dir() == Path(expected)
