"""What makes a graph valid: checked after reading a file and after every pass over a graph.

A graph enters; nothing leaves. Refused, naming the node and the tensor: names that are missing or
taken, constants that are not what they are declared to be, nodes before what they read, shapes that
do not follow from the inputs (`shapes`), and element types or scales against TFLite's specification
(`quantization_rules`). Opaque nodes are only checked for order and names.
"""

from __future__ import annotations

import numpy as np

from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Opaque, Reshape, Split
from edgekit.graph.quantization_rules import check_types
from edgekit.graph.shapes import infer

# Runtimes count bytes in a signed 32-bit integer.
MAX_TENSOR_BYTES = 2**31 - 1
# The largest networks for these boards have 1,000 nodes; planning takes time quadratic in them.
MAX_NODES, MAX_TENSORS = 4_096, 32_768
_ZERO_POINTS = {
    DType.INT8: (-128, 127),
    DType.UINT8: (0, 255),
    DType.INT16: (-32768, 32767),
    DType.INT32: (0, 0),
}


def verify(graph: Graph) -> None:
    """Check the whole graph; time is linear in its tensors, nodes and float weights.

    Raises:
        InputError: the graph breaks a rule.
        UnsupportedError: the graph may be right, but edgekit does not compute it.
    """
    if len(graph.nodes) > MAX_NODES or len(graph.tensors) > MAX_TENSORS:
        raise UnsupportedError(
            f"The model has {len(graph.nodes):,} operators and {len(graph.tensors):,} tensors; "
            f"edgekit takes {MAX_NODES:,} and {MAX_TENSORS:,}."
        )
    for name, tensor in graph.tensors.items():
        if name != tensor.name or not name:
            raise InputError(f"Tensor '{tensor.name}' is filed under the name '{name}'.")
        _check_tensor(tensor)
    written = _check_order(graph)
    for node in graph.nodes:
        try:
            _check_node(graph, node)
        except EdgekitError as error:
            raise type(error)(f"{describe(node)}: {error}.", hint=error.hint) from None
    for name in graph.outputs:
        if name not in written:
            raise InputError(f"No node writes the graph output '{name}'.")
    if not graph.inputs or not graph.outputs:
        raise InputError("A graph needs at least one input and one output.")


def describe(node: Node) -> str:
    """The node as messages name it."""
    return f"Node '{node.name}' ({node.op.tflite_name})"


def _check_tensor(tensor: Tensor) -> None:
    least = 0 if tensor.is_constant else 1
    if any(size < least for size in tensor.shape):
        raise InputError(f"Tensor '{tensor.name}' has the impossible shape {list(tensor.shape)}.")
    if tensor.size_bytes > MAX_TENSOR_BYTES:
        raise InputError(f"Tensor '{tensor.name}' {list(tensor.shape)} is larger than 2 GiB.")
    if tensor.data is not None:
        _check_data(tensor, tensor.data)
    if tensor.quantization is not None:
        _check_quantization(tensor, tensor.quantization)


def _check_data(tensor: Tensor, data: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> None:
    if data.shape != tensor.shape or data.dtype != tensor.dtype.numpy:
        raise InputError(
            f"Constant '{tensor.name}' is declared {tensor.dtype.value} {list(tensor.shape)} "
            f"but holds {data.dtype} {list(data.shape)}."
        )
    if tensor.dtype is DType.FLOAT32 and not np.isfinite(data).all():
        raise InputError(f"Constant '{tensor.name}' holds NaN or infinity.")


def _check_quantization(tensor: Tensor, quantization: Quantization) -> None:
    scales, zero_points = quantization.scales, quantization.zero_points
    if tensor.dtype not in _ZERO_POINTS:
        raise InputError(f"Tensor '{tensor.name}' is {tensor.dtype.value} but has a scale.")
    if len(scales) == 0 or len(scales) != len(zero_points):
        raise InputError(
            f"Tensor '{tensor.name}' has {len(scales)} scales and {len(zero_points)} zero points."
        )
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        raise InputError(f"Tensor '{tensor.name}' has a scale that is not a positive number.")
    low, high = _ZERO_POINTS[tensor.dtype]
    if zero_points.min() < low or zero_points.max() > high:
        raise InputError(f"Tensor '{tensor.name}' has a zero point outside [{low}, {high}].")
    if quantization.is_per_channel:
        axis, rank = quantization.axis, len(tensor.shape)
        if not 0 <= axis < rank or tensor.shape[axis] != len(scales):
            raise InputError(
                f"Tensor '{tensor.name}' {list(tensor.shape)} has {len(scales)} scales "
                f"along dimension {axis}."
            )


def _check_order(graph: Graph) -> set[str]:
    """Every tensor exists, is written once, and before it is read. Returns the written ones."""
    for name in (*graph.inputs, *graph.outputs):
        if name not in graph.tensors:
            raise InputError(f"The graph's border names '{name}', which does not exist.")
    if len(set(graph.inputs)) != len(graph.inputs):
        raise InputError("The graph names an input twice.")
    known = set(graph.inputs)
    if any(graph.tensors[name].is_constant for name in known):
        raise InputError("The graph has a constant among its inputs.")
    known |= {name for name, tensor in graph.tensors.items() if tensor.is_constant}
    written: set[str] = set()
    for node in graph.nodes:
        for name in node.inputs:
            if name not in known:
                problem = "before it is written" if name in graph.tensors else "that does not exist"
                raise InputError(f"{describe(node)} reads '{name}' {problem}.")
        for name in node.outputs:
            if name not in graph.tensors:
                raise InputError(f"{describe(node)} writes '{name}', which does not exist.")
            if name in known:
                raise InputError(f"{describe(node)} writes '{name}', which has a value already.")
            known.add(name)
            written.add(name)
    return written


def _check_node(graph: Graph, node: Node) -> None:
    op, inputs, outputs = node.op, graph.inputs_of(node), graph.outputs_of(node)
    if isinstance(op, Opaque):
        return
    count = op.splits if isinstance(op, Split) else 1
    if len(outputs) != count:
        raise InputError(f"it writes {len(outputs)} tensors instead of {count}")
    if isinstance(op, Reshape) and len(inputs) == 1:
        if inputs[0].elements != outputs[0].elements:
            raise InputError(
                f"{list(inputs[0].shape)} does not reshape to {list(outputs[0].shape)}"
            )
    else:
        for tensor, shape in zip(outputs, infer(op, inputs), strict=True):
            if tensor.shape != shape:
                raise InputError(
                    f"its output '{tensor.name}' is declared {list(tensor.shape)}, but the "
                    f"inputs give {list(shape)}"
                )
    check_types(op, inputs, outputs)
