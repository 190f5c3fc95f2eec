import re

import pytest

from edgekit.errors import UsageError
from edgekit.models import registry
from edgekit.models.published import PACKAGES, TORCHVISION, imagenet


def test_every_entry_is_an_architecture_with_a_digest() -> None:
    assert (TORCHVISION | PACKAGES).keys() <= set(registry.names())
    for name in TORCHVISION:
        found = imagenet(name)
        assert found.file.startswith(name) and found.package is None
        assert re.fullmatch("[0-9a-f]{8}", found.sha256)
    for name in PACKAGES:
        found = imagenet(name)
        assert found.package and re.fullmatch("[0-9a-f]{64}", found.sha256)
        assert found.sha256[:8] in found.file


def test_an_architecture_without_weights_names_those_that_have_some() -> None:
    with pytest.raises(UsageError, match="No ImageNet weights of mobilenet_v1") as caught:
        imagenet("mobilenet_v1")
    assert "mobilenet_v2" in caught.value.hint and "efficientnet_lite0" in caught.value.hint


def test_another_width_is_refused() -> None:
    with pytest.raises(UsageError, match=r"for alpha 1, not 0\.5"):
        imagenet("mobilenet_v2", 0.5)
