"""The undamaged models that mutants are made from: small, and together they use every feature."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
from support.graphs import convnet, single_op_graphs
from support.onnx_models import Onnx, random

from edgekit.convert.tflite_writer import write

_REAL_TFLITE = (
    "models/vww_96_int8.tflite",
    "coral/mobilenet_v1_0.25_128_quant.tflite",
    "coral/mobilenet_v1_0.25_128_quant_edgetpu.tflite",
)


@cache
def tflite() -> tuple[bytes, ...]:
    """A small network and a model for each op, int8 and float."""
    graphs = [convnet(True), convnet(False)]
    for quantized in (True, False):
        graphs += single_op_graphs(quantized).values()
    return tuple(write(graph) for graph in graphs)


@cache
def real_tflite() -> tuple[bytes, ...]:
    """Models of other converters, where `$EDGEKIT_SHARED` has them."""
    folder = Path(os.environ.get("EDGEKIT_SHARED", ""))
    return tuple((folder / name).read_bytes() for name in _REAL_TFLITE if (folder / name).is_file())


@cache
def onnx() -> tuple[bytes, ...]:
    """Small networks, and a model for each op the reader knows."""
    return tuple(model.data() for model in (_classifier(), _gated(), _recogniser(), *_singles()))


def _classifier() -> Onnx:
    """Convolution, batch normalization, pools, flatten and a matrix: the usual exporter's words."""
    m = Onnx(x=("N", 3, 12, 12))
    y = m.node("Conv", "x", random(4, 3, 3, 3), random(4), strides=[2, 2], pads=[0, 0, 1, 1])
    y = m.node("BatchNormalization", y, random(4), random(4), random(4), np.ones(4, np.float32))
    y = m.node("Clip", y, np.float32(0), np.float32(6))
    z = m.node("Conv", y, random(4, 1, 3, 3), random(4), pads=[1, 1, 1, 1], group=4)
    z = m.node("Conv", m.node("Relu", z), random(4, 4, 1, 1))
    y = m.node("MaxPool", m.node("Add", y, z), kernel_shape=[2, 2], strides=[2, 2])
    y = m.node("Flatten", m.node("GlobalAveragePool", y))
    m.node("Softmax", m.node("Gemm", y, random(5, 4), random(5), transB=1))
    return m


def _gated() -> Onnx:
    """A squeeze-and-excite gate and sizes computed with Shape, as scripted models have them."""
    m = Onnx(x=(1, 4, 6, 6))
    y = m.node("HardSwish", m.node("Conv", "x", random(6, 4, 1, 1), random(6)))
    gate = m.node("ReduceMean", y, axes=[2, 3])
    gate = m.node("HardSigmoid", m.node("Conv", gate, random(6, 6, 1, 1)), alpha=1 / 6)
    y = m.node("Mul", y, gate)
    batch = m.node("Gather", m.node("Shape", y), np.int64(0))
    batch = m.node("Unsqueeze", batch, np.array([0], np.int64))
    shape = m.node("Concat", batch, np.array([-1], np.int64), axis=0)
    m.node("MatMul", m.node("Reshape", y, shape), random(216, 3))
    return m


def _recogniser() -> Onnx:
    """A one-dimensional network with branches, split and joined."""
    m = Onnx(x=(1, 4, 16))
    y = m.node("Conv", "x", random(8, 4, 3), random(8), pads=[1, 1])
    a, b = m.node("Split", y, np.array([4, 4], np.int64), outputs=2, axis=1)
    y = m.node("Concat", m.node("Sigmoid", a), m.node("Neg", b), axis=1)
    y = m.node("Transpose", m.node("Slice", y, *map(_ints, ([0], [4], [1]))), perm=[0, 2, 1])
    m.node("Gemm", m.node("Reshape", y, _ints([1, 64])), random(64, 2), random(2))
    return m


def _ints(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def _singles() -> list[Onnx]:
    image, models = (1, 4, 6, 6), []
    for kind, operands, attributes in (
        ("Conv", [random(6, 2, 3, 3), random(6)], {"group": 2, "dilations": [2, 1]}),
        ("Conv", [random(5, 4, 3, 3)], {"auto_pad": "SAME_LOWER", "strides": [2, 2]}),
        ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
        ("AveragePool", [], {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("MaxPool", [], {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0]}),
        ("GlobalMaxPool", [], {}),
        ("Pad", [_ints([0, 0, 1, 0, 0, 0, 2, 1]), np.float32(1.5)], {}),
        ("Transpose", [], {"perm": [0, 2, 3, 1]}),
        ("Squeeze", [_ints([0])], {}),
        ("Unsqueeze", [_ints([1])], {}),
        ("Max", [np.float32(0.5)], {}),
        ("Min", [np.float32(0.5)], {}),
        ("Sub", [random(4, 1, 1)], {}),
        ("Div", [np.float32(3)], {}),
        ("Cast", [], {"to": 1}),
        ("Identity", [], {}),
        ("Dropout", [], {}),
        ("Softmax", [], {"axis": 1}),
    ):
        model = Onnx(x=image)
        model.node("Relu", model.node(kind, "x", *operands, **attributes))
        models.append(model)
    return models
