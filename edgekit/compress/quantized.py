"""A network between float and integers, as the accuracy repairs hand it on.

The float graph, the ranges of its activations and the integer graph made of them travel together: a
repair changes the first two and quantizes anew, or changes the integers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgekit.compress.calibrate import Ranges, Samples
from edgekit.graph.ir import Array, Graph, Tensor
from edgekit.progress import Progress, silent

Quantizer = Callable[[Graph, Ranges], Graph]
Lesson = tuple[Samples, npt.NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Quantized:
    """A network and its integers.

    Attributes:
        graph: float32; computes what the user's network computes (a repair may scale its inside).
        ranges: of its activations.
        integer: int8, quantized from both, then perhaps repaired further.
    """

    graph: Graph
    ranges: Ranges
    integer: Graph


@dataclass(frozen=True, eq=False)
class Bench:
    """What a repair may work with. Nothing here belongs to the validation or the test split.

    Attributes:
        batches: calibration samples, float32 (n, ...), a few at a time; each call begins anew.
        quantizer: float graph and ranges -> integer graph, as the build quantizes.
        lessons: seeded passes over the training split, one batch (samples, classes) at a time;
            None where there are no labelled training pictures. Called with (epoch, batch size).
        seed: of every random choice.
        threads: to compute with.
        progress: told what is going on.
    """

    batches: Callable[[], Iterable[Samples]]
    quantizer: Quantizer
    lessons: Callable[[int, int], Iterable[Lesson]] | None = None
    seed: int = 0
    threads: int = 1
    progress: Progress = silent

    def samples(self, count: int) -> Samples:
        """The first calibration samples, at most so many, as one array."""
        found: list[Samples] = []
        for batch in self.batches():
            found.append(batch[: count - sum(map(len, found))])
            if sum(map(len, found)) >= count:
                break
        return np.concatenate(found)

    def requantized(self, network: Quantized, graph: Graph, ranges: Ranges) -> Quantized:
        """The network with another float graph or other ranges, and the integers of those."""
        return replace(network, graph=graph, ranges=ranges, integer=self.quantizer(graph, ranges))


def to_input(graph: Graph, samples: Samples) -> Array:
    """Float samples as an integer graph's only input reads them, rounded to the nearest step."""
    return as_integers(graph.tensors[graph.inputs[0]], samples)


def as_integers(tensor: Tensor, reals: Array) -> Array:
    """Reals as a quantized tensor holds them, rounded to the nearest step."""
    if tensor.quantization is None:
        return reals
    low, high = tensor.dtype.limits
    steps = reals.astype(np.float64) / tensor.quantization.scale
    rounded = np.trunc(steps + np.copysign(0.5, steps)) + tensor.quantization.zero_point
    integers: Array = np.clip(rounded, low, high).astype(tensor.dtype.numpy)
    return integers


def to_reals(graph: Graph, name: str, values: Array) -> Samples:
    """An integer graph's activation as the reals it stands for."""
    quantization = graph.tensors[name].quantization
    if quantization is None:
        return values.astype(np.float32)
    steps = values.astype(np.float32) - np.float32(quantization.zero_point)
    return steps * np.float32(quantization.scale)
