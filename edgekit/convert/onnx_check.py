"""The proof that a graph read from ONNX computes what the file says: onnxruntime says the same.

A serialized model, the float graph made of it and samples enter; nothing leaves but an error where
they part. Samples are in the graph's layout (NHWC). Which of the model's inputs and outputs have
channels last, shapes do not always tell: one arrangement must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, VerificationError
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph

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
        InputError: onnxruntime refuses the model, or computes NaN or infinity with it.
    """
    session = _session(onnx_model)
    (source,) = session.get_inputs()
    worst = 0.0
    for sample in samples:
        ours = run(graph, [sample[None]])
        answers = (_answer(session, fed) for fed in _as_onnx(sample[None], source))
        worst = max(worst, min((_difference(ours, theirs) for theirs in answers), default=np.inf))
    if worst > _TOLERANCE:
        raise VerificationError(
            f"The converted graph differs from onnxruntime by {worst:.3g} of the largest output.",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return worst


def _answer(session: Any, fed: Mapping[str, Samples]) -> list[Samples]:
    try:
        outputs = session.run(None, fed)
    except Exception as error:  # its exceptions share no base class of their own
        reason = str(error).splitlines()[0]
        raise InputError(f"onnxruntime cannot run the ONNX model: {reason}") from error
    if not all(np.isfinite(output).all() for output in outputs):
        raise InputError(
            "The network computes NaN or infinity on these samples.",
            hint="Check the weights, and that the samples are preprocessed as in training.",
        )
    return [np.asarray(output, np.float32) for output in outputs]


def _difference(ours: Sequence[Array], theirs: Sequence[Samples]) -> float:
    """The largest over the outputs, each in the layout that the graph gives it."""
    worst = 0.0
    for left, right in zip((o.astype(np.float32, copy=False) for o in ours), theirs, strict=True):
        layouts = [fit for fit in _layouts(right) if _sizes(fit) == _sizes(left)]
        scale = max(float(np.abs(right).max(initial=0)), 1e-6)
        fits = (np.abs(fit.ravel() - left.ravel()).max(initial=0) for fit in layouts)
        worst = max(worst, min(map(float, fits), default=np.inf) / scale)
    return worst


def _layouts(values: Samples) -> list[Samples]:
    """ONNX's order, and channels last where there may be channels: shapes alone may not tell."""
    return [values, np.moveaxis(values, 1, -1)] if values.ndim in (3, 4) else [values]


def _sizes(values: Array) -> list[int]:
    return [size for size in values.shape if size != 1]


def _session(onnx_model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(onnx_model, options, ["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class of their own
        reason = str(error).splitlines()[0]
        raise InputError(f"onnxruntime refuses the ONNX model: {reason}") from error


def _as_onnx(sample: Samples, source: Any) -> Iterator[dict[str, Samples]]:
    """One sample (1, ...) of the graph in each layout the ONNX input may have."""
    rank = len(source.shape)
    orders = [sample] if rank not in (3, 4) else [sample, np.moveaxis(sample, -1, 1)]
    for values in orders:
        shape = [size for size in values.shape[1:] if size != 1]
        fixed = [size for size in source.shape[1:] if size != 1]
        fits = len(shape) == len(fixed) and all(
            size == wanted or not isinstance(wanted, int)
            for size, wanted in zip(shape, fixed, strict=True)
        )
        if fits:
            sizes = iter(shape)
            full = [1, *(1 if size == 1 else next(sizes) for size in source.shape[1:])]
            yield {source.name: np.ascontiguousarray(values.reshape(full))}
