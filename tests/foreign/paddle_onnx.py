"""Recipes: Paddle network -> ONNX with paddle2onnx."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import paddle
from paddle import nn
from paddle.vision import models


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    return {
        "paddle_mobilenet_v1.onnx": partial(export, lambda: models.MobileNetV1(0.125, 10), 64),
        "paddle_mobilenet_v2.onnx": partial(export, lambda: models.MobileNetV2(0.1, 10), 64),
        "paddle_mobilenet_v3.onnx": partial(export, lambda: models.MobileNetV3Small(0.1, 10), 64),
        "paddle_shufflenet_v2.onnx": partial(export, _shufflenet, 64),
        "paddle_small.onnx": partial(export, _small, 32),
        "paddle_small.any_batch.onnx": partial(export, _small, 32, None),
    }


def export(build: Callable[[], nn.Layer], size: int, batch: int | None = 1) -> bytes:
    """One network with seeded weights and statistics."""
    paddle.seed(3)
    rng = np.random.default_rng(3)
    network = build()
    for layer in network.sublayers():
        if isinstance(layer, nn.BatchNorm2D):
            shape = layer.weight.shape
            layer._mean.set_value(rng.normal(0, 0.3, shape).astype(np.float32))
            layer._variance.set_value(rng.uniform(0.5, 2, shape).astype(np.float32))
    network.eval()
    spec = [paddle.static.InputSpec([batch, 3, size, size], "float32", "image")]
    with tempfile.TemporaryDirectory() as folder:
        paddle.onnx.export(network, str(Path(folder) / "model"), spec, opset_version=13)
        return (Path(folder) / "model.onnx").read_bytes()


def _small() -> nn.Layer:
    return nn.Sequential(
        *(nn.Conv2D(3, 8, 3, 2, 1), nn.BatchNorm2D(8), nn.Hardswish(), nn.MaxPool2D(3, 2, 1)),
        *(nn.Conv2D(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2D(8), nn.ReLU6(), nn.AvgPool2D(2)),
        *(nn.Conv2D(8, 12, 1), nn.Swish(), nn.AdaptiveAvgPool2D(1), nn.Flatten()),
        *(nn.Dropout(), nn.Linear(12, 10), nn.Softmax()),
    )


def _shufflenet() -> nn.Layer:
    return models.shufflenet_v2_x0_25(num_classes=10)
