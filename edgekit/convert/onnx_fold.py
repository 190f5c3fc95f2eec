"""Folding: ONNX nodes whose inputs are all known are computed once, while the model is read.

Exporters leave chains of Shape, Gather, Concat and Reshape where a framework computed a size, and
sometimes arithmetic on weights. onnx's own reference evaluator computes them; nodes that would
blow up a few numbers into gigabytes are refused first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from edgekit.convert.onnx_layout import Values
from edgekit.convert.onnx_model import OnnxNode
from edgekit.errors import InputError, UnsupportedError

MOST_ELEMENTS = 1 << 28
# Ops whose output size is told by a value, and the input that tells it.
_SIZE_INPUT = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1}
_NEVER = ("Loop", "If", "Scan", "Range", "Resize", "Pad", "OneHot", "EyeLike")
_RANDOM = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial")


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


def evaluate(node: OnnxNode, inputs: Sequence[Values | None]) -> list[Values]:
    """The outputs of a node whose inputs are known.

    Args:
        inputs: None where an optional input is left out.

    Raises:
        UnsupportedError: an op that cannot be computed ahead of time.
        InputError: the inputs do not fit the op.
    """
    from onnx.reference import ReferenceEvaluator

    if node.op_type in _NEVER + _RANDOM or "." in node.op_type:
        raise UnsupportedError("cannot be computed ahead of time")
    _refuse_growth(node, inputs)
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
    return [np.asarray(value) for value in outputs]


def _attribute(value: object) -> object:
    return onnx.numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value


def _refuse_growth(node: OnnxNode, inputs: Sequence[Values | None]) -> None:
    given = [value for value in inputs if value is not None]
    if any(value.ndim > 8 for value in given):
        raise UnsupportedError("has more than 8 dimensions")
    total = float(sum(value.size for value in given))
    index = _SIZE_INPUT.get(node.op_type)
    if index is not None and index < len(given):
        growth = float(np.prod(np.abs(given[index].astype(np.float64))))
        total = growth * (given[0].size if index else 1)
    elif len(given) == 2:
        pairs = zip(reversed(given[0].shape), reversed(given[1].shape), strict=False)
        total = max(total, float(np.prod([float(max(pair)) for pair in pairs])))
    if total > MOST_ELEMENTS:
        raise UnsupportedError("would compute a constant larger than 1 GiB")
