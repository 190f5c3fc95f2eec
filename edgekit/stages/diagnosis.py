"""Where int8 hurts, layer by layer, if the user asks for it or for repairs.

A request, the integer network and data enter; a `Diagnosis` leaves. Its pictures are of the
validation split: calibration pictures would hide what the ranges clip. Arrays without a part held
out are those that calibrated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.compress.calibrate import Samples
from edgekit.compress.diagnose import Layer, diagnose, suspects
from edgekit.errors import UsageError
from edgekit.report.layers_plot import layers_plot
from edgekit.stages.integer import Clock, Integer
from edgekit.stages.material import Material
from edgekit.stages.request import Request

_SAMPLES = 32
_BUDGET_ELEMENTS = 1 << 27  # activations of all samples that lie in memory together


@dataclass(frozen=True)
class Diagnosis:
    """The layers' noise and what stands out, for the report and as a picture."""

    layers: Sequence[Layer]

    def to_json(self) -> dict[str, Any]:
        """The report's "layers" and "suspects" sections."""
        return {
            "layers": [layer.to_json() for layer in self.layers],
            "suspects": suspects(self.layers),
        }

    def picture(self, title: str) -> bytes:
        """A bar for every layer, as SVG."""
        return layers_plot([layer.to_json() for layer in self.layers], title).encode()


def diagnosed(
    request: Request, integer: Integer, material: Material, clock: Clock
) -> Diagnosis | None:
    """The diagnosis; None where nobody asks for one.

    Raises:
        UsageError: there is no float network to compare with.
    """
    if not request.diagnose and request.repair is None:
        return None
    if integer.origin is None:
        raise UsageError(
            "--diagnose compares with the float network; a .tflite file holds integers already.",
            hint="Give the network as .onnx, or an architecture.",
        )
    network, _ = integer.origin
    elements = sum(t.elements for t in network.graph.tensors.values() if t.data is None)
    count = max(4, min(_SAMPLES, _BUDGET_ELEMENTS // elements))
    with clock.stage("diagnose"):
        samples = _samples(integer, material, count)
        return Diagnosis(diagnose(network, samples, request.threads or os.cpu_count() or 1))


def _samples(integer: Integer, material: Material, count: int) -> Samples:
    """Evenly spaced samples of the validation split, or of the arrays there are."""
    if material.dataset is not None and integer.contract is not None:
        split = material.dataset.splits["validation"]
        if len(split) == 0:
            split = material.dataset.splits["calibration"]
        chosen = np.unique(np.linspace(0, len(split) - 1, count).astype(np.int64))
        return integer.contract.normalize(split.pixels(chosen, integer.contract))
    arrays = material.held if material.held is not None else material.arrays
    assert arrays is not None  # something has calibrated
    return arrays[np.unique(np.linspace(0, len(arrays) - 1, count).astype(np.int64))]
