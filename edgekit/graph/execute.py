"""Run a graph on values: the host's own interpreter, float or integer.

A graph and one array an input enter, one array an output leaves. Inputs may carry a batch where the
graph says 1: as many samples are computed together as `batching` allows, one by one where an op
does not keep them apart. The number together changes no integer, and of floats the last bits, as
matrix products of other sizes sum in other orders. Refused: inputs of the wrong number, type or
shape, and nodes no TFLite kernel defines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np

from edgekit.errors import InputError, VerificationError
from edgekit.graph.batching import samples_together
from edgekit.graph.ir import Array, Graph, Node, Tensor
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

Watch = Callable[[str, Array], None]


def run(
    graph: Graph,
    inputs: Sequence[Array],
    watch: Watch | None = None,
    *,
    threads: int = 1,
) -> tuple[Array, ...]:
    """The graph's outputs for the given inputs.

    Args:
        inputs: one array a graph input, of its dtype and shape; where the shape begins with 1, a
            batch N in its place (the same N for all of them).
        watch: called with every activation's name and value as soon as it is known, graph inputs
            included; once for each part of the batch that is computed together.
        threads: how many parts of a batch are computed at the same time; not together with `watch`.

    Returns:
        One array an output; for a batch, the samples' outputs joined along axis 0.

    Raises:
        InputError: the inputs do not fit the graph.
        UnsupportedError: a node has no definition for its types and quantizations.
    """
    parts = _parts(graph, inputs, 1 if watch else threads)
    with _blas().limit(limits=1, user_api="blas"):
        if watch or threads == 1:
            results = [_run_once(graph, part, watch) for part in parts]
        else:
            with ThreadPoolExecutor(threads) as pool:
                results = list(pool.map(lambda part: _run_once(graph, part, None), parts))
    if len(results) == 1:
        return results[0]
    return tuple(np.concatenate(output) for output in zip(*results, strict=True))


def check_inputs(graph: Graph, inputs: Sequence[Array]) -> None:
    """Nothing if `run` would take these inputs.

    Raises:
        InputError: they do not fit the graph.
    """
    _batch_size(graph, inputs)


def _parts(graph: Graph, inputs: Sequence[Array], threads: int) -> list[Sequence[Array]]:
    """The inputs cut along their batch into what one thread computes at once."""
    samples = _batch_size(graph, inputs)
    if samples == 1:
        return [inputs]
    # Every thread gets equally many parts.
    rounds = -(-samples // (threads * samples_together(graph, threads)))
    step = -(-samples // (rounds * threads))
    return [[value[i : i + step] for value in inputs] for i in range(0, samples, step)]


@cache
def _blas() -> Any:
    """The handle on NumPy's BLAS, held to one thread while we compute.

    Its matrix products are small: its own threads spend more time waiting for each other (on a busy
    machine ten times as much) than they save. Parts of a batch are computed in parallel instead.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _batch_size(graph: Graph, inputs: Sequence[Array]) -> int:
    """The number of samples the inputs hold; 1 also for shapes without a leading 1."""
    if len(inputs) != len(graph.inputs):
        raise InputError(
            f"Graph '{graph.name}' has {len(graph.inputs)} inputs, {len(inputs)} were given."
        )
    sizes = set()
    for name, value in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[name]
        if value.dtype != tensor.dtype.numpy:
            raise InputError(f"Input '{name}' is {tensor.dtype.value}, {value.dtype} was given.")
        if value.shape != tensor.shape and not _is_batch_of(value, tensor):
            raise InputError(f"Input '{name}' has shape {tensor.shape}, {value.shape} was given.")
        sizes.add(len(value) if _is_batch_of(value, tensor) else 1)
    if len(sizes) > 1:
        raise InputError(f"The inputs hold batches of different sizes: {sorted(sizes)}.")
    return sizes.pop() if sizes else 1


def _is_batch_of(value: Array, tensor: Tensor) -> bool:
    return (
        tensor.shape[:1] == (1,)
        and value.ndim == len(tensor.shape)
        and value.shape[1:] == tensor.shape[1:]
        and len(value) > 0
    )


def _run_once(graph: Graph, inputs: Sequence[Array], watch: Watch | None) -> tuple[Array, ...]:
    """Node after node; every activation is dropped after its last reader."""
    values: dict[str, Array] = {t.name: t.data for t in graph.constants() if t.data is not None}
    values.update(zip(graph.inputs, inputs, strict=True))
    if watch:
        for name in graph.inputs:
            watch(name, values[name])
    for node, dead in zip(graph.nodes, _dead_after(graph), strict=True):
        call = Call(
            node,
            graph.inputs_of(node),
            graph.outputs_of(node),
            tuple(values[name] for name in node.inputs),
        )
        for tensor, value in zip(call.outputs, evaluate(call), strict=True):
            _check(node, tensor, value)
            values[tensor.name] = value
            if watch:
                watch(tensor.name, value)
        for name in dead:
            del values[name]
    return tuple(_output(graph, values, name) for name in graph.outputs)


def _output(graph: Graph, values: dict[str, Array], name: str) -> Array:
    data = graph.tensors[name].data
    return values[name] if data is None else data


def _dead_after(graph: Graph) -> Iterator[tuple[str, ...]]:
    """For each node, the activations nobody reads later."""
    last = {name: i for i, node in enumerate(graph.nodes) for name in (*node.outputs, *node.inputs)}
    for i, node in enumerate(graph.nodes):
        names = dict.fromkeys((*node.inputs, *node.outputs))
        yield tuple(
            name
            for name in names
            if last[name] == i and name not in graph.outputs and not graph.tensors[name].is_constant
        )


def _check(node: Node, tensor: Tensor, value: Array) -> None:
    """A definition must produce what the graph declares; the batch may differ."""
    if value.dtype != tensor.dtype.numpy or value.shape[1:] != tensor.shape[1:]:
        raise VerificationError(
            f"{node.op.tflite_name} '{node.name}' made {value.dtype} {value.shape} for "
            f"'{tensor.name}', which is declared {tensor.dtype.value} {tensor.shape}."
        )
