"""The proof that a graph read from ONNX computes what the file says: onnxruntime says the same.

A serialized model, the float graph made of it and samples enter; nothing leaves but an error where
they part. Samples are in the graph's layout (NHWC); the model's own layout is restored here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, VerificationError
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph

Samples = npt.NDArray[np.float32]
# Of the largest output: the two sum in different orders.
_TOLERANCE = 1e-3


def check_against_onnxruntime(onnx_model: bytes, graph: Graph, samples: Samples) -> float:
    """The largest difference, as a part of the largest absolute output.

    Args:
        onnx_model: with one input.
        graph: float32, from `onnx_graph.read`.
        samples: (n, ...) for the graph's input.

    Raises:
        VerificationError: they differ by more than rounding explains.
        InputError: onnxruntime refuses the model.
    """
    session = _session(onnx_model)
    (source,) = session.get_inputs()
    worst = 0.0
    for sample in samples:
        one = sample[None]
        theirs = session.run(None, {source.name: _as_onnx(one, source.shape, graph)})
        ours = run(graph, [one])
        for left, right in zip(ours, theirs, strict=False):
            flat = np.asarray(right, np.float32)
            flat = flat.transpose(0, 2, 3, 1) if flat.ndim == 4 else flat
            difference = float(np.abs(np.asarray(left, np.float32).ravel() - flat.ravel()).max())
            worst = max(worst, difference / max(float(np.abs(flat).max()), 1e-6))
    if not worst <= _TOLERANCE:  # a NaN compares false
        raise VerificationError(
            f"The converted graph differs from onnxruntime by {worst:.3g} of the largest output.",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return worst


def _session(onnx_model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(onnx_model, options, ["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class of their own
        reason = str(error).splitlines()[0]
        raise InputError(f"onnxruntime refuses the ONNX model: {reason}") from error


def _as_onnx(sample: Samples, wanted: list[int | str], graph: Graph) -> Samples:
    """One sample (1, ...) of the graph in the layout of the ONNX input."""
    shape = [size if isinstance(size, int) else own for size, own in _paired(wanted, sample.shape)]
    if len(wanted) == len(sample.shape) and tuple(shape) == sample.shape:
        return sample
    first = np.moveaxis(sample, -1, 1)
    return np.ascontiguousarray(first.reshape([1, *shape[1:]]))


def _paired(wanted: list[int | str], own: tuple[int, ...]) -> list[tuple[int | str, int]]:
    padded = [*own, *[1] * len(wanted)]
    return list(zip(wanted, padded, strict=False))
