"""ResNet-v2 as timm has it."""

from __future__ import annotations

from functools import partial

import timm

REFERENCES = {
    "resnetv2_50": partial(timm.create_model, "resnetv2_50"),
    "resnetv2_50 0.25": partial(
        timm.create_model, "resnetv2_50", stem_chs=16, channels=(64, 128, 256, 512)
    ),
}
