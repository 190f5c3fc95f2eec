"""Runs the float and the integer network over a split and compares what they say.

Enter both graphs (the float one may be missing: a TFLite file has none), their preprocessing and a
split; leaves an `Accuracy`. Integers go through the graph's reference, bit-exact with the chip's
kernels. Memory is bounded by a few images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgekit.graph.execute import run
from edgekit.graph.ir import Array, DType, Graph
from edgekit.graph.scores import before_softmax, logits_of
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.report.accuracy import Accuracy, Scores, compare, sqnr_db

_CHUNK = 16  # images at once: enough for BLAS, few enough to stay in the cache
_Part = tuple[Scores, Scores, Scores]


@dataclass(frozen=True, eq=False)
class Networks:
    """The two networks that are compared.

    Attributes:
        float_graph: None where only the integer network is known.
        trained: the float network's contract.
        graph: the integer network.
        deployed: its contract, of the same size, with the input quantization.
    """

    float_graph: Graph | None
    trained: Preprocessing
    graph: Graph
    deployed: Preprocessing


class Images(Protocol):
    """What evaluation needs of a split; `data.Split` satisfies it."""

    @property
    def targets(self) -> npt.NDArray[np.int64]:
        """True classes, shape (n,)."""

    def pixels(
        self, indices: Sequence[int] | npt.NDArray[np.int64], preprocessing: Preprocessing
    ) -> npt.NDArray[np.uint8]:
        """uint8 images (len(indices), height, width, channels)."""


def evaluate(
    networks: Networks,
    images: Images,
    *,
    split: str,
    labels: tuple[str, ...],
    threads: int = 1,
    progress: Progress = silent,
) -> Accuracy:
    """Compare the float and the integer network on every image of a split.

    Args:
        networks: both.
        images: the split.
        split: its name, for the record and the progress bar.
        labels: class names.
        threads: chunks evaluated at the same time.
    """
    count = len(images.targets)
    chunks = [np.arange(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]

    def scores(chunk: npt.NDArray[np.int64]) -> _Part:
        pixels = images.pixels(chunk, networks.deployed)
        return _floats(networks, pixels), *_integers(networks, pixels)

    parts: list[_Part] = []
    for part in _in_order(scores, chunks, threads):
        parts.append(part)
        progress(f"evaluate on {split}", min(len(parts) * _CHUNK, count), count)
    floats, logits, outputs = zip(*parts, strict=True)
    float_logits = None if networks.float_graph is None else np.concatenate(floats)
    return compare(
        split,
        images.targets,
        labels,
        float_logits,
        np.concatenate(logits),
        np.concatenate(outputs),
    )


def network_input(
    graph: Graph, contract: Preprocessing, pixels: npt.NDArray[np.uint8]
) -> npt.NDArray[np.generic]:
    """Pixels (n, H, W, C) as the graph's only input reads them: int8, uint8 or float32."""
    dtype = graph.tensors[graph.inputs[0]].dtype
    if dtype is DType.FLOAT32:
        return contract.normalize(pixels)
    integers = contract.quantize(pixels)
    # A legacy uint8 input is the int8 one plus 128: the same bits with the highest one flipped.
    return integers.view(np.uint8) ^ np.uint8(128) if dtype is DType.UINT8 else integers


def fidelity_db(float_graph: Graph, graph: Graph, reals: Scores, integers: Array) -> float:
    """SQNR of the integer network's output (before softmax) on the same samples, in decibels.

    Args:
        reals: the float network's inputs, (n, ...).
        integers: the same samples as the integer network reads them.
    """
    (expected,) = run(before_softmax(float_graph), [reals])
    shorter = before_softmax(graph)
    (output,) = run(shorter, [integers])
    rows = expected.astype(np.float32).reshape(len(reals), -1)
    return sqnr_db(rows, dequantized(shorter, shorter.outputs[0], output))


def _floats(networks: Networks, pixels: npt.NDArray[np.uint8]) -> Scores:
    """The float network's logits (n, classes); empty where there is none."""
    if networks.float_graph is None:
        return np.zeros((len(pixels), 0), np.float32)
    shorter = before_softmax(networks.float_graph)
    (logits,) = run(shorter, [networks.trained.normalize(pixels)])
    return logits.astype(np.float32, copy=False).reshape(len(pixels), -1)


def _integers(networks: Networks, pixels: npt.NDArray[np.uint8]) -> tuple[Scores, Scores]:
    """Logits before softmax and the outputs of the integer graph, both dequantized."""
    graph = networks.graph
    logits_name = logits_of(graph)
    seen: list[Scores] = []

    def watch(name: str, value: Array) -> None:
        if name == logits_name:
            seen.append(dequantized(graph, name, value))

    (output,) = run(graph, [network_input(graph, networks.deployed, pixels)], watch)
    return np.concatenate(seen), dequantized(graph, graph.outputs[0], output)


def dequantized(graph: Graph, name: str, value: Array) -> Scores:
    """Real values, one row a sample."""
    rows = value.astype(np.float32).reshape(len(value), -1)
    quantization = graph.tensors[name].quantization
    if quantization is None:
        return rows
    return (rows - np.float32(quantization.zero_point)) * np.float32(quantization.scale)


def _in_order(
    work: Callable[[npt.NDArray[np.int64]], _Part],
    chunks: Sequence[npt.NDArray[np.int64]],
    threads: int,
) -> Iterator[_Part]:
    """The results of all chunks in their order; NumPy releases the lock."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, chunks)
        finally:
            pool.shutdown(cancel_futures=True)  # a Ctrl-C must not wait for the whole split
