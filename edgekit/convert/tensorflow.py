"""Another opinion: the same float graph quantized by TensorFlow's own converter.

A float graph and calibration batches enter; the bytes of an int8 .tflite leave, as TFLiteConverter
writes them (full integer post-training quantization, int8 input and output). TensorFlow is an extra
and is imported when this runs. Refused: what TensorFlow does not convert.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.metadata import version as version_of
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit import extras
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node

Samples = npt.NDArray[np.float32]


def convert(graph: Graph, batches: Iterable[Samples], *, softmax: bool) -> bytes:
    """The int8 .tflite that TensorFlow makes of a graph.

    Args:
        graph: float, one input.
        batches: calibration samples, float32 (n, ...), as the graph reads them.
        softmax: append one to a row of logits.

    Raises:
        MissingToolError: TensorFlow is not installed.
        InputError: there is nothing to calibrate with.
        UnsupportedError: TensorFlow cannot convert it; its own words follow.
    """
    extras.require("tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # ranges that do not depend on the machine
    tf: Any = import_module("tensorflow")
    batches = list(batches)
    if not batches:
        raise InputError("There are no pictures to calibrate TensorFlow's converter with.")
    source = graph.tensors[graph.inputs[0]]
    function = tf.function(
        lambda x: _run(tf, graph, x, softmax),
        autograph=False,  # nothing in it depends on values
        input_signature=[tf.TensorSpec(source.shape, tf.float32, name="input")],
    )
    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: _one_by_one(batches, source.shape)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        converted: bytes = converter.convert()
    except Exception as error:  # it raises a dozen kinds
        reason = str(error).strip().splitlines()
        raise UnsupportedError(
            f"TensorFlow does not convert '{graph.name}': {reason[0] if reason else error!r}",
            hint="Leave --converter out: edgekit's own converter takes it.",
        ) from error
    return converted


def version() -> str:
    """ "tensorflow 2.21.0"."""
    package = packages_distributions()["tensorflow"][0]
    return f"{package} {version_of(package)}"


def _one_by_one(batches: list[Samples], shape: tuple[int, ...]) -> Iterator[list[Samples]]:
    for batch in batches:
        for sample in batch:
            yield [sample.reshape(shape)]


def _run(tf: Any, graph: Graph, x: Any, softmax: bool) -> Any:
    """The graph as TensorFlow's functions."""
    values: dict[str, Any] = {graph.inputs[0]: x}
    for node in graph.nodes:
        read = [
            values[name] if name in values else graph.tensors[name].data for name in node.inputs
        ]
        made = _node(tf, graph, node, read)
        values.update(zip(node.outputs, made if isinstance(made, list) else [made], strict=True))
    outputs = [values[name] for name in graph.outputs]
    first = graph.tensors[graph.outputs[0]]
    is_row = len(outputs) == 1 and first.elements == first.shape[-1] > 1
    already = graph.nodes and isinstance(graph.nodes[-1].op, ops.Softmax)
    return [tf.nn.softmax(outputs[0])] if softmax and is_row and not already else outputs


def _node(tf: Any, graph: Graph, node: Node, x: list[Any]) -> Any:
    op, shape = node.op, graph.tensors[node.outputs[0]].shape
    match op:
        case ops.Conv2D():
            kernel = np.transpose(x[1], (1, 2, 3, 0))
            made = tf.nn.conv2d(x[0], kernel, op.stride, op.padding.value, dilations=op.dilation)
            return _finish(tf, op.activation, made, x[2:])
        case ops.DepthwiseConv2D():
            channels = graph.tensors[node.inputs[0]].shape[3]
            kernel = np.reshape(x[1], (*x[1].shape[1:3], channels, -1))
            made = tf.nn.depthwise_conv2d(
                x[0], kernel, (1, *op.stride, 1), op.padding.value, dilations=op.dilation
            )
            return _finish(tf, op.activation, made, x[2:])
        case ops.FullyConnected():
            rows = tf.reshape(x[0], (-1, x[1].shape[1]))
            made = _finish(tf, op.activation, tf.matmul(rows, x[1], transpose_b=True), x[2:])
            return tf.reshape(made, shape)
        case ops.AveragePool2D() | ops.MaxPool2D():
            pool = tf.nn.avg_pool2d if isinstance(op, ops.AveragePool2D) else tf.nn.max_pool2d
            return _finish(
                tf, op.activation, pool(x[0], op.filter, op.stride, op.padding.value), []
            )
        case ops.Add() | ops.Sub() | ops.Mul():
            join = {ops.Add: tf.add, ops.Sub: tf.subtract, ops.Mul: tf.multiply}[type(op)]
            return _finish(tf, op.activation, join(x[0], x[1]), [])
        case ops.Concatenation():
            return _finish(tf, op.activation, tf.concat(x, op.axis), [])
    return _moved(tf, op, x, shape)


def _moved(tf: Any, op: ops.Op, x: list[Any], shape: tuple[int, ...]) -> Any:
    """Ops without weights and without a fused activation."""
    simple: dict[type[ops.Op], Callable[[], Any]] = {
        ops.Mean: lambda: tf.reshape(tf.reduce_mean(x[0], _axes(x[1])), shape),
        ops.Pad: lambda: tf.pad(x[0], x[1]),
        ops.PadV2: lambda: tf.pad(x[0], x[1], constant_values=float(np.reshape(x[2], -1)[0])),
        ops.Softmax: lambda: tf.nn.softmax(x[0] * getattr(op, "beta", 1.0)),
        ops.Logistic: lambda: tf.sigmoid(x[0]),
        ops.HardSwish: lambda: x[0] * tf.nn.relu6(x[0] + 3.0) * (1 / 6),
        ops.Relu: lambda: tf.nn.relu(x[0]),
        ops.Relu6: lambda: tf.nn.relu6(x[0]),
        ops.Reshape: lambda: tf.reshape(x[0], shape),
        ops.Squeeze: lambda: tf.reshape(x[0], shape),
        ops.ExpandDims: lambda: tf.reshape(x[0], shape),
        ops.Transpose: lambda: tf.transpose(x[0], x[1]),
        ops.Split: lambda: tf.split(x[1], getattr(op, "splits", 1), int(np.reshape(x[0], -1)[0])),
    }
    if type(op) not in simple:
        raise UnsupportedError(f"{op.tflite_name} has no TensorFlow function here.")
    return simple[type(op)]()


def _axes(axes: Any) -> list[int]:
    return [int(axis) for axis in np.reshape(axes, -1)]


def _finish(tf: Any, activation: ops.Activation, x: Any, bias: list[Any]) -> Any:
    """A sum with its bias and its fused activation."""
    if bias:
        x = tf.nn.bias_add(x, bias[0])
    match activation:
        case ops.Activation.RELU:
            return tf.nn.relu(x)
        case ops.Activation.RELU6:
            return tf.nn.relu6(x)
        case ops.Activation.RELU_N1_TO_1:
            return tf.clip_by_value(x, -1.0, 1.0)
    return x
