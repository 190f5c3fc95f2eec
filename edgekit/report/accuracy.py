"""What int8 costs: float and integer scores of the same images, compared.

Enter the logits or probabilities both networks gave; leaves a frozen `Accuracy`. All accuracies are
percentages. Nothing here runs a network, see `evaluate`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]

_Z95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution


@dataclass(frozen=True)
class ClassAccuracy:
    """One row of the per-class table; accuracies in percent."""

    label: str
    images: int
    float_top1: float | None
    int8_top1: float


@dataclass(frozen=True)
class Accuracy:
    """Float against int8 on one split.

    Where no float network is known, everything that needs one is None.

    Attributes:
        float_top1, int8_top1: percent of the images.
        float_interval, int8_interval: 95 % Wilson score intervals, percent (low, high).
        drop: float_top1 - int8_top1, in percentage points.
        agreement: percent of images where both name the same class.
        sqnr_db: signal-to-quantization-noise ratio of the logits before softmax.
        confusion: int8 predictions, (true class, predicted class) counts.
    """

    split: str
    images: int
    float_top1: float | None
    int8_top1: float
    float_interval: tuple[float, float] | None
    int8_interval: tuple[float, float]
    drop: float | None
    agreement: float | None
    sqnr_db: float | None
    per_class: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]


def compare(
    split: str,
    targets: npt.NDArray[np.int64],
    labels: tuple[str, ...],
    float_logits: Scores | None,
    int8_logits: Scores,
    int8_outputs: Scores,
) -> Accuracy:
    """Compare two networks on the same images.

    Args:
        split: name of the split, for the record.
        targets: true classes, shape (n,).
        labels: class names.
        float_logits: of the float network, shape (n, classes); None if it is not known.
        int8_logits: of the integer network before softmax, dequantized, shape (n, classes).
        int8_outputs: what the integer network puts out (softmax included if it has one); its
            argmax is the prediction, as on the device.
    """
    int8_class = int8_outputs.argmax(axis=1)
    int8_hits = int8_class == targets
    count, int8_top1 = len(targets), _percent(int8_hits)
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (targets, int8_class), 1)
    float_class = None if float_logits is None else float_logits.argmax(axis=1)
    float_hits = None if float_class is None else float_class == targets
    float_top1 = None if float_hits is None else _percent(float_hits)
    return Accuracy(
        split=split,
        images=count,
        float_top1=float_top1,
        int8_top1=int8_top1,
        float_interval=None
        if float_hits is None
        else wilson_interval(int(float_hits.sum()), count),
        int8_interval=wilson_interval(int(int8_hits.sum()), count),
        drop=None if float_top1 is None else float_top1 - int8_top1,
        agreement=None if float_class is None else _percent(float_class == int8_class),
        sqnr_db=None if float_logits is None else sqnr_db(float_logits, int8_logits),
        per_class=tuple(
            ClassAccuracy(
                label=label,
                images=int((targets == index).sum()),
                float_top1=None if float_hits is None else _percent(float_hits[targets == index]),
                int8_top1=_percent(int8_hits[targets == index]),
            )
            for index, label in enumerate(labels)
        ),
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """95 % score interval of a proportion, in percent (Wilson 1927); (0, 100) of no images."""
    if count == 0:
        return 0.0, 100.0
    share = hits / count
    spread = _Z95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return 100 * max(0.0, middle - half), 100 * min(1.0, middle + half)


def sqnr_db(signal: Scores, approximation: Scores) -> float:
    """10 log10(sum signal^2 / sum error^2); infinite where they are equal."""
    error = signal - approximation
    noise = float(np.square(error, dtype=np.float64).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(float(np.square(signal, dtype=np.float64).sum()) / noise)


def _percent(hits: npt.NDArray[np.bool_]) -> float:
    return 100.0 * float(hits.mean()) if len(hits) else 0.0
