"""Folding: ONNX nodes whose inputs are all known are computed once, while the model is read.

Exporters leave chains of Shape, Gather, Concat and Reshape where a framework computed a size, and
sometimes arithmetic on weights. onnx's own reference evaluator computes them. Refused first: ops
that exporters do not leave (among them those that run loops, draw random numbers or take a size as
a value), and more memory or work than a model of this size can need.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import onnx

from edgekit.convert.onnx_layout import Values
from edgekit.convert.onnx_model import OnnxNode
from edgekit.errors import InputError, UnsupportedError

# Ops whose output size is told by a value, and the input that tells it.
_SIZE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
_MOVING = frozenset(
    {"Concat", "Flatten", "Gather", "Identity", "Reshape", "Shape", "Size", "Slice", "Split"}
    | {"Squeeze", "Transpose", "Unsqueeze", "Where", *_SIZE_INPUT}
)
_COMPUTING = frozenset(
    {"Abs", "Add", "And", "Cast", "Ceil", "Clip", "Div", "Equal", "Exp", "Floor", "Greater"}
    | {"GreaterOrEqual", "Less", "LessOrEqual", "Log", "Max", "Mean", "Min", "Mod", "Mul", "Neg"}
    | {"Not", "Or", "Pow", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd"}
    | {"ReduceSum", "Relu", "Round", "Sigmoid", "Sign", "Sqrt", "Sub", "Sum", "Tanh"}
)
_PRODUCTS = frozenset({"Gemm", "MatMul"})
_MOST_MACS = 1 << 33  # seconds
_ITEM_BYTES = 8
# What a fold may add to the constants that the file itself holds.
_SLACK_BYTES = 64 << 20
_BUDGET_FACTOR = 2


class Budget:
    """The memory that folding may take, from the size of the constants in the file."""

    def __init__(self, file_bytes: int) -> None:
        self._left_bytes = _BUDGET_FACTOR * file_bytes + _SLACK_BYTES

    def check(self, size_bytes: float) -> None:
        """Refuse a constant that is larger than what is left.

        Raises:
            UnsupportedError: it is.
        """
        if size_bytes > self._left_bytes:
            raise UnsupportedError(
                f"would compute a constant of {size_bytes / 2**20:,.0f} MiB from much smaller ones"
            )

    def charge(self, values: Sequence[Values]) -> None:
        """Take the memory of these from what is left."""
        self._left_bytes -= sum(value.nbytes for value in values)


def constant_value(node: OnnxNode) -> Values:
    """The value of an ONNX Constant node.

    Raises:
        UnsupportedError: sparse or of strings.
    """
    for name in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if name in node.attributes:
            value = node.attributes[name]
            kind = np.int64 if "int" in name else np.float32
            return value if name == "value" else np.asarray(value, kind)
    raise UnsupportedError("its value must be a dense tensor of numbers")


def evaluate(node: OnnxNode, inputs: Sequence[Values | None], budget: Budget) -> list[Values]:
    """The outputs of a node whose inputs are known.

    Args:
        inputs: None where an optional input is left out.
        budget: of the model; what the outputs take is charged.

    Raises:
        UnsupportedError: an op that is not computed ahead of time, or takes too much.
        InputError: the inputs do not fit the op.
    """
    from onnx.reference import ReferenceEvaluator

    if node.op_type not in _MOVING | _COMPUTING | _PRODUCTS:
        raise UnsupportedError("of constants is not computed ahead of time")
    budget.check(_ITEM_BYTES * _elements(node, [value for value in inputs if value is not None]))
    feeds = {f"in{i}": value for i, value in enumerate(inputs) if value is not None}
    proto = onnx.helper.make_node(
        node.op_type,
        [f"in{i}" if value is not None else "" for i, value in enumerate(inputs)],
        [f"out{i}" for i, _ in enumerate(node.outputs)],
        **{key: _attribute(value) for key, value in node.attributes.items()},
    )
    graph = onnx.helper.make_graph(
        [proto],
        "constant",
        [onnx.helper.make_tensor_value_info(name, 0, None) for name in feeds],
        [onnx.helper.make_tensor_value_info(name, 0, None) for name in proto.output],
    )
    opset = onnx.helper.make_opsetid("", node.opset)
    try:
        with np.errstate(all="ignore"):
            model = onnx.helper.make_model(graph, opset_imports=[opset])
            outputs = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # the evaluator raises whatever its NumPy code meets
        raise InputError(f"its constant inputs do not fit it ({error})") from error
    values = [np.asarray(value) for value in outputs]
    budget.charge(values)
    return values


def _attribute(value: object) -> object:
    return onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _elements(node: OnnxNode, given: Sequence[Values]) -> float:
    """At most how many elements the outputs have.

    Raises:
        UnsupportedError: a product that would take minutes, or arrays NumPy cannot broadcast.
    """
    if any(value.ndim > 8 for value in given):
        raise UnsupportedError("has more than 8 dimensions")
    if node.op_type in _PRODUCTS and len(given) >= 2:
        shared = max(1, given[1].shape[-2] if given[1].ndim > 1 else 1)
        if given[0].size * given[1].size // shared > _MOST_MACS:
            raise UnsupportedError("would take minutes to compute ahead of time")
    total = float(sum(value.size for value in given))
    index = _SIZE_INPUT.get(node.op_type)
    if index is not None and index < len(given):
        growth = float(np.prod(np.abs(given[index].astype(np.float64))))
        return growth * (given[0].size if index else 1)
    if node.op_type == "Gather" and len(given) == 2:
        return float(given[0].size) * given[1].size
    if node.op_type in _MOVING - {"Where"}:
        return total
    rank = max((value.ndim for value in given), default=0)
    wide = [(1,) * (rank - value.ndim) + value.shape for value in given]
    return max(total, float(prod(max(sizes) for sizes in zip(*wide, strict=True))))
