"""EfficientNetV2 as torchvision has it."""

from __future__ import annotations

from torchvision import models

SETTLED = True
REFERENCES = {
    "efficientnet_v2_s": models.efficientnet_v2_s,
    "efficientnet_v2_m": models.efficientnet_v2_m,
    "efficientnet_v2_l": models.efficientnet_v2_l,
}
