"""Runs the float and the integer network over a split and compares what they say.

Enter the ONNX file (float, through onnxruntime), the int8 graph (through its reference, bit-exact
with the chip's kernels) and a split; leaves an `Accuracy`. Memory is bounded by a few images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph
from edgekit.graph.ops import Softmax
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.report.accuracy import Accuracy, Scores, compare

_CHUNK = 16  # images at once: enough for BLAS, few enough to stay in the cache
_Part = tuple[Scores, Scores, Scores]


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
    onnx_model: bytes,
    graph: Graph,
    images: Images,
    trained: Preprocessing,
    deployed: Preprocessing,
    *,
    split: str,
    labels: tuple[str, ...],
    threads: int = 1,
    progress: Progress = silent,
) -> Accuracy:
    """Compare the float and the integer network on every image of a split.

    Args:
        onnx_model: the float network, input (1 or N, 3, H, W), output logits.
        graph: the int8 network made from it.
        images: the split.
        trained: the float network's contract.
        deployed: the int8 network's, of the same size, with its input quantization.
        split: its name, for the record and the progress bar.
        labels: class names.
        threads: chunks evaluated at the same time.
    """
    session = _float_session(onnx_model)
    count = len(images.targets)
    chunks = [np.arange(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]

    def scores(chunk: npt.NDArray[np.int64]) -> _Part:
        pixels = images.pixels(chunk, deployed)
        return session(trained.normalize(pixels)), *_integer(graph, deployed, pixels)

    parts: list[_Part] = []
    for part in _in_order(scores, chunks, threads):
        parts.append(part)
        progress(f"evaluate on {split}", min(len(parts) * _CHUNK, count), count)
    float_logits, int8_logits, outputs = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return compare(split, images.targets, labels, float_logits, int8_logits, outputs)


def _float_session(onnx_model: bytes) -> Callable[[Scores], Scores]:
    """(n, H, W, C) normalized images -> logits (n, classes), by onnxruntime on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx_model, options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def logits(images: Scores) -> Scores:
        (scores,) = session.run(None, {name: np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
        return np.asarray(scores, np.float32)

    return logits


def _integer(
    graph: Graph, preprocessing: Preprocessing, pixels: npt.NDArray[np.uint8]
) -> tuple[Scores, Scores]:
    """Logits before softmax and the outputs of the int8 graph, both dequantized."""
    logits_name = _logits_of(graph)
    seen: list[Scores] = []

    def watch(name: str, value: Array) -> None:
        if name == logits_name:
            seen.append(_dequantized(graph, name, value))

    (output,) = run(graph, [preprocessing.quantize(pixels)], watch)
    return np.concatenate(seen), _dequantized(graph, graph.outputs[0], output)


def _logits_of(graph: Graph) -> str:
    """The tensor before a closing softmax, else the output."""
    last = graph.nodes[-1]
    return last.inputs[0] if isinstance(last.op, Softmax) else graph.outputs[0]


def _dequantized(graph: Graph, name: str, value: Array) -> Scores:
    quantization = graph.tensors[name].quantization
    assert quantization is not None  # the graph's verification guarantees it
    centred = value.astype(np.float32) - np.float32(quantization.zero_point)
    return centred.reshape(len(value), -1) * np.float32(quantization.scale)


def _in_order(
    work: Callable[[npt.NDArray[np.int64]], _Part],
    chunks: Sequence[npt.NDArray[np.int64]],
    threads: int,
) -> Iterator[_Part]:
    """The results of all chunks in their order; NumPy and onnxruntime release the lock."""
    with ThreadPoolExecutor(threads) as pool:
        try:
            yield from pool.map(work, chunks)
        finally:
            pool.shutdown(cancel_futures=True)  # a Ctrl-C must not wait for the whole split
