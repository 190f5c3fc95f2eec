"""Recipes: torch network -> litert-torch -> float TFLite -> ai-edge-quantizer's static int8."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import litert_torch
import numpy as np
import torch
import torch_constructs  # noqa: F401  (registers its networks)
from ai_edge_quantizer import quantizer, recipe
from torch_families import NETWORKS

NAMES = ("resnet", "mobilenet_v2", "mobilenet_v3", "squeezenet", "audio_1d", "autoencoder")
NAMES += ("two_inputs", "two_outputs", "densenet", "shufflenet_v2", "efficientnet", "vgg")


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    made = {f"litert_{name}.float.tflite": partial(_float, name) for name in NAMES}
    made |= {f"litert_{name}.int8.tflite": partial(_int8, name) for name in NAMES}
    made["litert_squeezenet.weight_only.tflite"] = partial(_weights, "squeezenet")
    return made


def _float(name: str) -> bytes:
    module, inputs = NETWORKS[name]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        litert_torch.convert(module, inputs).export(str(path))
        return path.read_bytes()


def _int8(name: str) -> bytes:
    inputs = NETWORKS[name]()[1]
    with _quantizer(_float(name), recipe.static_wi8_ai8()) as tool:
        rng = torch.Generator().manual_seed(1)
        samples = [
            {
                f"args_{i}": torch.randn(x.shape, generator=rng).numpy().astype(np.float32)
                for i, x in enumerate(inputs)
            }
            for _ in range(8)
        ]
        ranges = tool.calibrate({"serving_default": samples})
        return bytes(tool.quantize(ranges).quantized_model)


def _weights(name: str) -> bytes:
    with _quantizer(_float(name), recipe.weight_only_wi8_afp32()) as tool:
        return bytes(tool.quantize().quantized_model)


class _quantizer:  # noqa: N801 (used as a function)
    """The quantizer over a model's bytes, which it wants as a file."""

    def __init__(self, model: bytes, how: object) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "model.tflite"
        self._path.write_bytes(model)
        self._how = how

    def __enter__(self) -> quantizer.Quantizer:
        return quantizer.Quantizer(str(self._path), self._how)

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()
