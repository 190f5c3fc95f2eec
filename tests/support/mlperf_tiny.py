"""The shapes of MLPerf Tiny's reference models, int8, with random weights.

The published files (mlcommons/tiny, benchmark/training) are kws_ref_model.tflite,
pretrainedResnet_quant.tflite and ad01_int8.tflite; visual wake words is a file in EDGEKIT_SHARED.
"""

from __future__ import annotations

from support.graphs import GraphBuilder

from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation

_RELU = Activation.RELU


def keyword_spotting() -> Graph:
    """DS-CNN: (1, 49, 10, 1) -> 12 words."""
    b = GraphBuilder("keyword_spotting")
    x = b.input("x", (1, 49, 10, 1), b.int8(0.5, 80))
    x = b.conv(x, 64, (10, 4), stride=(2, 2), activation=_RELU)
    for _ in range(4):
        x = b.depthwise(x, (3, 3), activation=_RELU)
        x = b.conv(x, 64, (1, 1), activation=_RELU)
    x = b.add(ops.AveragePool2D((25, 5), (25, 5)), x)
    return _classifier(b, x, 12)


def image_classification() -> Graph:
    """ResNet-8: (1, 32, 32, 3) -> 10 classes."""
    b = GraphBuilder("image_classification")
    x = b.input("x", (1, 32, 32, 3), b.int8(1.0, -128))
    x = b.conv(x, 16, (3, 3), activation=_RELU)
    y = b.conv(b.conv(x, 16, (3, 3), activation=_RELU), 16, (3, 3))
    x = b.add(ops.Add(_RELU), x, y)
    for channels in (32, 64):
        y = b.conv(x, channels, (3, 3), stride=(2, 2), activation=_RELU)
        y = b.conv(y, channels, (3, 3))
        x = b.conv(x, channels, (1, 1), stride=(2, 2))
        x = b.add(ops.Add(_RELU), x, y)
    x = b.add(ops.AveragePool2D((8, 8), (8, 8)), x)
    return _classifier(b, x, 10)


def anomaly_detection() -> Graph:
    """Dense autoencoder: (1, 640) -> (1, 640)."""
    b = GraphBuilder("anomaly_detection")
    x = b.input("x", (1, 640), b.int8(0.4, 90))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = b.fully_connected(x, units, activation=_RELU)
    return b.build(b.fully_connected(x, 640))


def _classifier(b: GraphBuilder, x: str, classes: int) -> Graph:
    x = b.fully_connected(b.flatten(x), classes)
    return b.build(b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)))
