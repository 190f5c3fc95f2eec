"""The proof that a graph read from ONNX computes what the file says: onnxruntime says the same.

A serialized model, the float graph made of it and samples enter; nothing leaves but an error where
they part. Samples are in the graph's layout (NHWC). Which of the model's inputs and outputs have
channels last, shapes do not always tell: one arrangement must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from edgekit.convert.onnx_model import load
from edgekit.convert.onnx_runtime import outputs_of
from edgekit.errors import InputError, VerificationError
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph

Samples = npt.NDArray[np.float32]
Compute = Callable[[bytes, Sequence[Samples]], Sequence[Sequence[Array]]]
# Of the largest output: the two sum in different orders.
_TOLERANCE = 1e-3


def check_against_onnxruntime(
    onnx_model: bytes, graph: Graph, samples: Samples, compute: Compute = outputs_of
) -> float:
    """The largest difference, as a part of the largest absolute output.

    Args:
        onnx_model: with one input, all weights inside.
        graph: float32, from `onnx_graph.read`.
        samples: (n, ...) for the graph's input.
        compute: who runs onnxruntime.

    Raises:
        VerificationError: they differ by more than rounding explains.
        InputError: onnxruntime refuses the model, or computes NaN or infinity with it.
    """
    ((_, shape),) = load(onnx_model).inputs.items()
    fed = [list(_as_onnx(sample[None], shape)) for sample in samples]
    answers = iter(compute(onnx_model, [one for layouts in fed for one in layouts]))
    worst = 0.0
    for sample, layouts in zip(samples, fed, strict=True):
        ours = run(graph, [sample[None]])
        differences = [_difference(ours, _finite(next(answers))) for _ in layouts]
        worst = max(worst, min(differences, default=np.inf))
    if worst > _TOLERANCE:
        raise VerificationError(
            f"The converted graph differs from onnxruntime by {worst:.3g} of the largest output.",
            hint="This is a fault of edgekit: please report it with the model.",
        )
    return worst


def _finite(outputs: Sequence[Array]) -> list[Samples]:
    floats = [np.asarray(output, np.float32) for output in outputs]
    if not all(np.isfinite(output).all() for output in floats):
        raise InputError(
            "The network computes NaN or infinity on these samples.",
            hint="Check the weights, and that the samples are preprocessed as in training.",
        )
    return floats


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


def _as_onnx(sample: Samples, shape: Sequence[int]) -> Iterator[Samples]:
    """One sample (1, ...) of the graph in each layout that the ONNX input's shape allows."""
    orders = [sample] if len(shape) not in (3, 4) else [sample, np.moveaxis(sample, -1, 1)]
    for values in orders:
        if _sizes(values) == [size for size in shape if size != 1]:
            yield np.ascontiguousarray(values.reshape(shape))
