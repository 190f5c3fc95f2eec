"""ONNX -> Graph(float32, NHWC): the only place where NCHW becomes NHWC.

A classifier in ONNX, from either torch exporter, tf2onnx, Paddle or the like, enters; a simplified
float graph leaves, with TFLite's layouts and no transposes that cancel. Images in an ONNX input
that is NCHW enter the graph as NHWC. Refused: nodes outside `CONVERTERS`, by name, and whatever
`onnx_model` refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from edgekit.convert import onnx_dense, onnx_fold, onnx_pointwise, onnx_shapes, onnx_windows
from edgekit.convert.onnx_builder import GraphBuilder
from edgekit.convert.onnx_call import Call
from edgekit.convert.onnx_layout import Shape, Values, View, channels_last
from edgekit.convert.onnx_model import OnnxModel, OnnxNode, load
from edgekit.errors import EdgekitError, InputError, UnsupportedError
from edgekit.graph import ops, passes
from edgekit.graph.ir import Graph

CONVERTERS: Mapping[str, Callable[[Call], list[View]]] = {
    "Add": onnx_pointwise.add,
    "AveragePool": onnx_windows.average_pool,
    "BatchNormalization": onnx_pointwise.batch_normalization,
    "Cast": onnx_pointwise.cast,
    "Clip": onnx_pointwise.clip,
    "Concat": onnx_shapes.concat,
    "Conv": onnx_windows.conv,
    "Div": onnx_pointwise.div,
    "Dropout": onnx_pointwise.same,
    "Flatten": onnx_shapes.flatten,
    "Gather": onnx_shapes.gather,
    "Gemm": onnx_dense.gemm,
    "GlobalAveragePool": onnx_shapes.global_average_pool,
    "GlobalMaxPool": onnx_windows.global_max_pool,
    "HardSigmoid": onnx_pointwise.hard_sigmoid,
    "HardSwish": onnx_pointwise.unary(ops.HardSwish()),
    "Identity": onnx_pointwise.same,
    "MatMul": onnx_dense.matmul,
    "Max": onnx_pointwise.maximum,
    "MaxPool": onnx_windows.max_pool,
    "Min": onnx_pointwise.minimum,
    "Mul": onnx_pointwise.mul,
    "Neg": onnx_pointwise.neg,
    "Pad": onnx_shapes.pad,
    "ReduceMax": onnx_shapes.reduce_max,
    "ReduceMean": onnx_shapes.reduce_mean,
    "Relu": onnx_pointwise.unary(ops.Relu()),
    "Reshape": onnx_shapes.reshape,
    "Sigmoid": onnx_pointwise.unary(ops.Logistic()),
    "Slice": onnx_shapes.slice_,
    "Softmax": onnx_shapes.softmax,
    "Split": onnx_shapes.split,
    "Squeeze": onnx_shapes.squeeze,
    "Sub": onnx_pointwise.sub,
    "Transpose": onnx_shapes.transpose,
    "Unsqueeze": onnx_shapes.unsqueeze,
    "ai.onnx.ml.Scaler": onnx_pointwise.scaler,
}
# Channels of pictures, told apart from heights where nothing else says which is which.
_PICTURE_CHANNELS = (1, 3)
_TO_NCHW = (0, 3, 1, 2)
_MOST_RANK = 8


def read(
    source: bytes | Path,
    *,
    input_shape: Sequence[int] | None = None,
    outputs: Sequence[str] | None = None,
) -> Graph:
    """Read an ONNX model as a simplified float graph.

    Args:
        source: the serialized model, or the path of a file.
        input_shape: fixes the shape of the only input, in the model's own layout.
        outputs: the outputs to keep; all of them if None.

    Returns:
        A graph whose inputs are (1,H,W,C) for pictures, and whose outputs have ONNX's shape up to
        rank 2 and are NHWC above.

    Raises:
        InputError: the model is corrupt, incomplete or contradicts itself.
        UnsupportedError: a node, type or shape is outside what edgekit converts.
    """
    model = load(source, input_shape=input_shape, outputs=outputs)
    builder = GraphBuilder(model.name)
    builder.constants.update(model.constants)
    budget = onnx_fold.Budget(sum(values.nbytes for values in model.constants.values()))
    for name, shape in model.inputs.items():
        builder.views[name] = _input(builder, model, name, shape)
    for node in model.nodes:
        _convert(builder, node, budget)
    return passes.simplify(builder.graph(model.outputs))


def _convert(builder: GraphBuilder, node: OnnxNode, budget: onnx_fold.Budget) -> None:
    """Fold a node into constants, or turn it into views of graph tensors."""
    builder.begin(node.outputs[0], node.name)
    try:
        folded = _folded(builder, node, budget)
        if folded is not None:
            builder.constants.update(zip(node.outputs, folded, strict=False))
            return
        if node.op_type not in CONVERTERS:
            raise UnsupportedError(
                "is not supported", hint=f"Supported: {', '.join(sorted(CONVERTERS))}."
            )
        # Infinities are refused when they reach the graph; a clip's bounds may be infinite.
        with np.errstate(all="ignore"):
            views = CONVERTERS[node.op_type](Call(builder, node))
    except EdgekitError as error:
        message = f"Node '{node.name}' ({node.op_type}): {error}"
        raise type(error)(message.rstrip(".") + ".", hint=error.hint) from error
    builder.views.update(zip(node.outputs, views, strict=False))


def _folded(builder: GraphBuilder, node: OnnxNode, budget: onnx_fold.Budget) -> list[Values] | None:
    """The node's outputs if they are known already."""
    if node.op_type == "Constant":
        return [onnx_fold.constant_value(node)]
    if node.op_type == "Shape" and node.inputs[0] in builder.views:
        dims = builder.views[node.inputs[0]].dims
        part = slice(node.attributes.get("start"), node.attributes.get("end"))
        return [np.array(dims[part], np.int64)]
    given = [name for name in node.inputs if name]
    if any(name not in builder.constants for name in given):
        missing = [name for name in given if name not in {**builder.constants, **builder.views}]
        if missing:
            raise InputError(f"nothing gives its input '{missing[0]}'")
        return None
    values = [builder.constants.get(name) for name in node.inputs]
    return onnx_fold.evaluate(node, values, budget)


def _input(builder: GraphBuilder, model: OnnxModel, name: str, shape: Shape) -> View:
    """The graph's input for an ONNX input: channels last, whichever way ONNX has it."""
    rank = len(shape)
    if rank not in (3, 4) or not _is_channels_first(model, name, shape):
        tensor = builder.add_input(name, shape)
        return View(tensor, shape, tuple((axis,) for axis in range(rank)))
    wide = (shape[0], *((1,) if rank == 3 else ()), *shape[2:], shape[1])
    return channels_last(builder.add_input(name, wide), wide, rank)


def _is_channels_first(model: OnnxModel, name: str, shape: Shape) -> bool:
    """Whether an input is NCHW: told by the first op that knows, else by its sizes.

    A Transpose to NCHW, or the Reshape that exporters write for it when there is one channel, says
    NHWC, and so does an Unsqueeze that adds the channels; an op on channels says NCHW.
    """
    reached = {name}
    for node in model.nodes:
        if not reached.intersection(node.inputs):
            continue
        if node.op_type == "Transpose":
            return tuple(node.attributes.get("perm", ())) != _TO_NCHW
        if node.op_type == "Reshape" and shape[-1] == 1:
            return False
        if node.op_type == "Unsqueeze" and len(shape) == 3 and _axes(model, node) in ((1,), (-3,)):
            return False
        if node.op_type in ("Conv", "MaxPool", "AveragePool", "BatchNormalization"):
            return True
        if node.op_type in ("Flatten", "Gemm", "MatMul", "Reshape"):
            break
        reached.update(node.outputs)
    if len(shape) == 3:
        return False
    return shape[1] in _PICTURE_CHANNELS or shape[3] not in _PICTURE_CHANNELS


def _axes(model: OnnxModel, node: OnnxNode) -> tuple[int, ...]:
    """The constant axes of an Unsqueeze; empty if they are not constant."""
    if "axes" in node.attributes or len(node.inputs) < 2:
        return tuple(node.attributes.get("axes", ()))
    values = model.constants.get(node.inputs[1])
    for other in model.nodes:
        if other.op_type == "Constant" and node.inputs[1] in other.outputs:
            values = onnx_fold.constant_value(other)
    return () if values is None else tuple(values.reshape(-1)[:_MOST_RANK].tolist())
