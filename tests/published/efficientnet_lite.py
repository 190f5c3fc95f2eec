"""EfficientNet-Lite as timm has it, with TFLite's padding."""

from __future__ import annotations

from functools import partial

import timm
from timm.models.efficientnet import _gen_efficientnet_lite

PADDING = "same"
SETTLED = True
REFERENCES = {
    **{
        f"efficientnet_lite{size}": partial(timm.create_model, f"tf_efficientnet_lite{size}")
        for size in range(5)
    },
    "efficientnet_lite0 0.5": partial(
        _gen_efficientnet_lite,
        "tf_efficientnet_lite0",
        channel_multiplier=0.5,
        bn_eps=1e-3,
        pad_type="same",
    ),
}
