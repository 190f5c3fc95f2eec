"""What must hold for a file that nobody vouches for: it is refused, or everything after it works.

A graph that a reader accepted is verified, written, read again, counted, partitioned, planned and,
where that is cheap, computed and quantized. Only edgekit's own errors may come of it; a
contradiction between two of edgekit's parts may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.compress.calibrate import calibrate
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, tflite_reader, tflite_writer
from edgekit.convert.onnx_check import check_against_onnxruntime
from edgekit.convert.onnx_runtime import run_here
from edgekit.errors import EdgekitError, InputError, UnsupportedError, VerificationError
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Tensor
from edgekit.graph.ops import Opaque
from edgekit.graph.verify import verify
from edgekit.plan import boards
from edgekit.plan.arena import TflmBuild, build_for, plan_arena
from edgekit.plan.fit import judge
from edgekit.plan.partition import partition

Values = npt.NDArray[Any]

_BOARD = "nucleo_f446re"
# What is still cheap to compute.
_MOST_MACS, _MOST_ELEMENTS, _MOST_NODES = 1_000_000, 100_000, 100
_LONGEST_MESSAGE = 2_000


class ContradictionError(AssertionError):
    """Two parts of edgekit disagree about a graph."""


def tflite(data: bytes, opaque: bool = False) -> bool:
    """Read TFLite bytes and do all that follows; whether they were accepted."""
    return _survive(lambda: tflite_reader.read(data, allow_opaque=opaque), len(data))


def onnx(data: bytes) -> bool:
    """Read ONNX bytes and do all that follows; whether they were accepted."""
    return _survive(lambda: onnx_graph.read(data), len(data), onnx_model=data)


def _survive(read: Callable[[], Graph], size_bytes: int, onnx_model: bytes = b"") -> bool:
    try:
        graph = read()
    except (InputError, UnsupportedError) as error:
        if len(str(error)) > _LONGEST_MESSAGE + 2 * size_bytes:
            raise ContradictionError("a message longer than the file") from error
        return False
    follow(graph)
    if onnx_model and len(graph.inputs) == 1 and _is_cheap(graph):
        _compare(onnx_model, graph)
    return True


def _compare(onnx_model: bytes, graph: Graph) -> None:
    """onnxruntime computes the same, refuses the model, or dies of it (see `campaign`)."""
    print("onnxruntime", end=" ", flush=True)
    try:
        with np.errstate(all="ignore"):
            check_against_onnxruntime(onnx_model, graph, _samples(graph)[0], _run_onnxruntime)
    except VerificationError as error:
        raise ContradictionError(str(error)) from error
    except EdgekitError:
        return


def _run_onnxruntime(onnx_model: bytes, inputs: Sequence[Values]) -> list[list[Values]]:
    """In this process: another one for each mutant would take a hundred times as long."""
    try:
        return run_here(onnx_model, inputs)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise InputError(str(error)) from error


def follow(graph: Graph) -> None:
    """All that follows reading.

    Raises:
        ContradictionError: the reader accepted what a later part calls invalid, or results differ.
    """
    with _agreeing("verify"):
        verify(graph)
    graph_cost(graph)
    partition(graph)
    if any(isinstance(node.op, Opaque) for node in graph.nodes):
        return
    with _agreeing("write and read again"):
        data = tflite_writer.write(graph)
        if tflite_writer.write(tflite_reader.read(data)) != data:
            raise ContradictionError("writing what was read from it gives another file")
    _plan(graph, len(data))
    if _is_cheap(graph):
        _compute(graph)


def _is_cheap(graph: Graph) -> bool:
    elements = sum(tensor.elements for tensor in _activations(graph))
    macs = graph_cost(graph).macs
    return macs <= _MOST_MACS and elements <= _MOST_ELEMENTS and len(graph.nodes) <= _MOST_NODES


@contextmanager
def _agreeing(what: str) -> Iterator[None]:
    """Within, no error at all is legitimate."""
    try:
        yield
    except EdgekitError as error:
        raise ContradictionError(f"{what}: {error}") from error


def _plan(graph: Graph, model_bytes: int) -> None:
    board = boards.load(_BOARD)
    for build in (TflmBuild(), build_for(board), TflmBuild(kernels="cmsis-nn", simd="mve")):
        try:
            arena = plan_arena(graph, build)
        except UnsupportedError:
            continue
        judge(board, graph, model_bytes, arena).to_json()


def _compute(graph: Graph) -> None:
    """Run it, and a float network's integer twin as well."""
    inputs = _samples(graph)
    outputs = _run(graph, inputs)
    if outputs is None:
        return
    for name, output in zip(graph.outputs, outputs, strict=True):
        if output.shape != graph.tensors[name].shape:
            raise ContradictionError(f"'{name}' is {graph.tensors[name].shape}, not {output.shape}")
    if len(inputs) == 1 and all(t.dtype is DType.FLOAT32 for t in _activations(graph)):
        _quantized(graph, inputs[0])


def _run(graph: Graph, inputs: list[Values]) -> tuple[Values, ...] | None:
    """The outputs; None where an op is not defined for these quantizations."""
    try:
        with np.errstate(all="ignore"):
            return run(graph, inputs)
    except VerificationError as error:
        raise ContradictionError(str(error)) from error
    except EdgekitError:
        return None


def _quantized(graph: Graph, sample: Values) -> None:
    try:
        with np.errstate(all="ignore"):
            integer = quantize(graph, calibrate(graph, [sample]))
    except EdgekitError:
        return
    with _agreeing("verify the quantized graph"):
        verify(integer)
    _plan(integer, len(tflite_writer.write(integer)))
    partition(integer)
    _run(integer, _samples(integer))


def _activations(graph: Graph) -> list[Tensor]:
    return [tensor for tensor in graph.tensors.values() if not tensor.is_constant]


def _samples(graph: Graph) -> list[Values]:
    """A random value for each input."""
    rng = np.random.default_rng(0)
    return [_values(graph.tensors[name], rng) for name in graph.inputs]


def _values(tensor: Tensor, rng: np.random.Generator) -> Values:
    if tensor.dtype is DType.FLOAT32:
        return rng.normal(size=tensor.shape).astype(np.float32)
    if tensor.dtype is DType.BOOL:
        return rng.integers(0, 2, tensor.shape).astype(bool)
    limits = np.iinfo(tensor.dtype.numpy)
    return rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype.numpy, endpoint=True)
