"""One compiled firmware, shared by the tests of a worker: compiling takes the time."""

from __future__ import annotations

import pytest
from support.chip import firmware

from edgekit.emulate.chip.firmware import Firmware


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Firmware:
    """The small convnet for a Cortex-M4; nothing in it is changed by running it."""
    return firmware(tmp_path_factory.mktemp("m4"))
