"""MobileNetV3-Small's shapes, int8, with random weights and ten classes.

Source: Howard et al. 2019, arXiv:1905.02244, table 2.
"""

from __future__ import annotations

from support.graphs import GraphBuilder

from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation

# kernel, expanded channels, output channels, squeeze-and-excite, hard swish, stride
_BLOCKS = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)
_Q = GraphBuilder.int8(0.02)


def mobilenet_v3_small(resolution: int) -> Graph:
    """(1, resolution, resolution, 3) -> (1, 10)."""
    b = GraphBuilder("mobilenet_v3_small")
    x = b.input("image", (1, resolution, resolution, 3), _Q)
    x = _swish(b, b.conv(x, 16, (3, 3), stride=(2, 2), quantization=_Q))
    for block in _BLOCKS:
        x = _bottleneck(b, x, *block)
    x = _swish(b, b.conv(x, 576, (1, 1), quantization=_Q))
    x = b.add(ops.Mean(keep_dims=True), x, b.ints("head/axes", [1, 2]))
    x = _swish(b, b.conv(x, 1024, (1, 1), quantization=_Q))
    return b.build(b.fully_connected(b.flatten(x), 10, quantization=_Q))


def _bottleneck(
    b: GraphBuilder, x: str, kernel: int, wide: int, out: int, gate: bool, swish: bool, stride: int
) -> str:
    fused = Activation.NONE if swish else Activation.RELU
    channels, y = b.tensors[x].shape[3], x
    if wide != channels:
        y = b.conv(y, wide, (1, 1), quantization=_Q, activation=fused)
        y = _swish(b, y) if swish else y
    y = b.depthwise(y, (kernel, kernel), stride=(stride, stride), quantization=_Q, activation=fused)
    y = _swish(b, y) if swish else y
    y = _gated(b, y, wide) if gate else y
    y = b.conv(y, out, (1, 1), quantization=_Q)
    return b.add(ops.Add(), x, y) if stride == 1 and out == channels else y


def _swish(b: GraphBuilder, x: str) -> str:
    return b.add(ops.HardSwish(), x)


def _gated(b: GraphBuilder, x: str, channels: int) -> str:
    y = b.add(ops.Mean(keep_dims=True), x, b.ints(f"{x}/axes", [1, 2]))
    y = b.conv(y, max(8, channels // 4), (1, 1), quantization=_Q, activation=Activation.RELU)
    y = b.conv(y, channels, (1, 1), quantization=_Q)
    y = b.add(ops.Logistic(), y, quantization=b.int8(1 / 256, -128))
    return b.add(ops.Mul(), x, y)
