"""DenseNet as torchvision has it; DenseNet-264 and the narrow ones are made of its blocks."""

from __future__ import annotations

from functools import partial

from torchvision.models import DenseNet, densenet121, densenet161, densenet169, densenet201

REFERENCES = {
    "densenet121": densenet121,
    "densenet121 0.25": partial(DenseNet, growth_rate=8, num_init_features=16),
    "densenet161": densenet161,
    "densenet169": densenet169,
    "densenet201": densenet201,
    "densenet264": partial(DenseNet, block_config=(6, 12, 64, 48)),
}
