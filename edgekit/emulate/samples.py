"""Samples: cut what a user or a bundle gives into what an interpreter takes.

Arrays enter; `stacked` arrays leave: n samples in front of a tensor's whole shape, in its type, so
(n, 1, 96, 96, 3) for a tensor (1, 96, 96, 3). Refused: arrays of another shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Node, Tensor
from edgekit.graph.ops import Quantize

Values = npt.NDArray[Any]
Sample = Sequence[Values]  # one array a model input, each of the tensor's shape
Border = Sequence[tuple[tuple[int, ...], np.dtype[Any]]]


def stacked(values: Values, tensor: Tensor) -> Values:
    """An array as samples of an input tensor.

    Args:
        values: (n, *shape), or one sample of exactly the shape, or where that begins with 1, a
            batch n in its place. Values of the tensor's type are taken as they are; any other
            numbers are real values, which a quantized tensor's scale turns into integers.
        tensor: of a graph's input.

    Raises:
        InputError: the shape fits in none of these ways, there are no samples, or not all values
            are finite numbers.
    """
    if values.shape == tensor.shape:
        samples = values[None]
    elif values.shape[1:] == tensor.shape:
        samples = values
    elif tensor.shape[:1] == (1,) and values.shape[1:] == tensor.shape[1:]:
        samples = values[:, None]
    else:
        shape = ", ".join(map(str, tensor.shape))
        raise InputError(
            f"Input '{tensor.name}' has shape {tensor.shape}, {values.shape} was given.",
            hint=f"Give one sample ({shape}) or n of them: (n, {shape}).",
        )
    if len(samples) == 0:
        raise InputError(f"There are no samples for input '{tensor.name}'.")
    if samples.dtype.kind not in "biuf" or not np.isfinite(samples).all():
        raise InputError(f"The samples for input '{tensor.name}' must be finite numbers.")
    return samples if samples.dtype == tensor.dtype.numpy else _of_type(samples, tensor)


def _of_type(reals: Values, tensor: Tensor) -> Values:
    if tensor.quantization is None:
        return reals.astype(tensor.dtype.numpy)
    source = Tensor("real", reals.shape, DType.FLOAT32)
    target = Tensor("quantized", reals.shape, tensor.dtype, tensor.quantization)
    node = Node("quantize", Quantize(), (source.name,), (target.name,))
    tensors = {source.name: source, target.name: target}
    graph = Graph("input", tensors, (node,), (source.name,), (target.name,))
    (quantized,) = run(graph, [reals.astype(np.float32)])
    return quantized


def random_samples(graph: Graph, count: int, seed: int) -> tuple[Values, ...]:
    """Seeded samples of every input, (count, *shape): integers over all that the type can hold.

    Floats cover what the QUANTIZE that reads them keeps, or [-1, 1] where none does.
    """
    rng = np.random.default_rng(seed)
    return tuple(_random(graph, graph.tensors[name], count, rng) for name in graph.inputs)


def _random(graph: Graph, tensor: Tensor, count: int, rng: np.random.Generator) -> Values:
    shape = (count, *tensor.shape)
    if tensor.dtype is not DType.FLOAT32:
        low, high = tensor.dtype.limits
        return rng.integers(low, high, shape, np.int64, endpoint=True).astype(tensor.dtype.numpy)
    ends = (-1.0, 1.0)
    for node in graph.consumers(tensor.name):
        target = graph.tensors[node.outputs[0]]
        if isinstance(node.op, Quantize) and target.quantization is not None:
            scale, zero_point = target.quantization.scale, target.quantization.zero_point
            low, high = target.dtype.limits
            ends = scale * (low - zero_point), scale * (high - zero_point)
    return rng.uniform(*ends, shape).astype(np.float32)


def real_values(values: Values, tensor: Tensor) -> Values:
    """What a tensor's values mean, float64 of the same shape: scale * (value - zero point)."""
    if tensor.quantization is None:
        return values.astype(np.float64)
    return tensor.quantization.scale * (values.astype(np.float64) - tensor.quantization.zero_point)


def each(inputs: Sequence[Values]) -> Iterator[list[Values]]:
    """The samples of stacked arrays, one after the other.

    Raises:
        InputError: the arrays hold different numbers of samples.
    """
    counts = sorted({len(value) for value in inputs})
    if len(counts) > 1:
        raise InputError(f"The inputs hold different numbers of samples: {counts}.")
    for sample in zip(*inputs, strict=True):
        yield list(sample)


def check(sample: Sample, border: Border) -> None:
    """Refuse a sample that is not exactly of the border's shapes and types.

    Raises:
        InputError: it differs.
    """
    given = [(value.shape, value.dtype) for value in sample]
    if given != list(border):
        wanted, got = ([f"{dtype} {shape}" for shape, dtype in row] for row in (border, given))
        raise InputError(f"The model reads {', '.join(wanted)}; {', '.join(got)} was given.")


def reference_outputs(graph: Graph, inputs: Sequence[Values]) -> tuple[Values, ...]:
    """The graph's own outputs for stacked inputs, stacked: (n, *shape) each."""
    count = len(inputs[0])
    shapes = [graph.tensors[name].shape for name in graph.outputs]
    border = [graph.tensors[name].shape for name in graph.inputs] + shapes
    if all(shape[:1] == (1,) for shape in border):
        outputs = run(graph, [value[:, 0] for value in inputs])
        return tuple(
            value.reshape(count, *shape) for value, shape in zip(outputs, shapes, strict=True)
        )
    results = [run(graph, sample) for sample in each(inputs)]
    return tuple(np.stack(output) for output in zip(*results, strict=True))


def each_sample(
    inputs: Sequence[Values],
    expected: Border,
    invoke: Callable[[list[Values]], list[Values]],
) -> tuple[Values, ...]:
    """Call `invoke` for every sample and join its outputs along axis 0.

    Args:
        inputs: one array a model input, of its shape, or with a batch N where that begins with 1.
        expected: (shape, dtype) of the model's inputs.
        invoke: one sample's inputs -> its outputs.

    Raises:
        InputError: the inputs do not fit the model.
    """
    if len(inputs) != len(expected):
        raise InputError(f"The model has {len(expected)} inputs, {len(inputs)} were given.")
    counts = {_samples(value, *border) for value, border in zip(inputs, expected, strict=True)}
    if len(counts) != 1:
        raise InputError(f"The inputs hold batches of different sizes: {sorted(counts)}.")
    count = counts.pop()
    if count == 1:
        return tuple(invoke(list(inputs)))
    results = [invoke([value[i : i + 1] for value in inputs]) for i in range(count)]
    return tuple(np.concatenate(output) for output in zip(*results, strict=True))


def _samples(value: Values, shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    if value.dtype != dtype:
        raise InputError(f"The model reads {dtype}, {value.dtype} was given.")
    if value.shape == shape:
        return 1
    if shape[:1] == (1,) and value.ndim == len(shape) and value.shape[1:] == shape[1:]:
        return len(value)
    raise InputError(f"The model reads shape {shape}, {value.shape} was given.")
