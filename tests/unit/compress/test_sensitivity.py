import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from torch import nn

from edgekit.compress.pruning.sensitivity import sensitivity
from edgekit.report.sensitivity import plot, table


def network() -> nn.Sequential:
    """Two pruned layers; only the last eight channels of the first carry anything."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1)
    )
    for part in (module[0].weight, module[0].bias):
        part.data[:8] = 0
    return module


def test_each_layer_is_judged_alone_and_the_module_stays() -> None:
    module = network()
    images = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = module(images)
    before = [part.clone() for part in module.parameters()]
    told: list[int] = []

    def judge(narrow: nn.Module) -> float:
        return 100.0 if torch.allclose(narrow(images), expected, atol=1e-6) else 0.0

    found = sensitivity(
        module,
        (1, 3, 5, 5),
        judge,
        shares=(0.5, 0.75),
        progress=lambda _, done, of: told.append(done),
    )
    assert [(one.layers, one.channels) for one in found] == [(("0",), 16), (("2",), 8)]
    assert [one.accuracy for one in found] == [(100.0, 0.0), (0.0, 0.0)]
    assert found[0].parameters == (8 * (3 + 1 + 8), 12 * (3 + 1 + 8))
    assert told == [1, 2, 3, 4]
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_the_report_names_every_layer() -> None:
    layer = {
        "layers": ["a.conv_dw", "b.conv"],
        "channels": 8,
        "top1": [50, 20],
        "parameters": [3, 6],
    }
    found = {
        "network": "n",
        "criterion": "magnitude",
        "images": 10,
        "split": "validation",
        "whole": 60.0,
        "standard_error": 1.0,
        "shares": [0.5, 0.75],
        "layers": [layer],
        "warnings": [],
    }
    assert "a.conv_dw +1" in plot(found)
    assert table(found)
