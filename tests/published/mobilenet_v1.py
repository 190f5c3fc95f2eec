"""MobileNetV1 as timm has it."""

from __future__ import annotations

import timm

REFERENCES = {"mobilenet_v1": lambda: timm.create_model("mobilenetv1_100")}
