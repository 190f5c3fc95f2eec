"""Layers of many shapes, one node each, on which `costs` measures the kernels.

The shapes are those of networks for microcontrollers, with some that are awkward: channels that no
vector divides, a single pixel, an odd width. Outputs are clamped at zero, and every other shape's
once more not, as kernels may finish these in different ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from models import PROBABILITIES, Network

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Tensor
from edgekit.graph.ops import Activation, Padding

Grow = Callable[..., object]  # of a Network
_ACTIVATIONS = (Activation.RELU, Activation.NONE)

# (height, width, inputs, outputs)
_POINTWISE = (
    (48, 48, 8, 16),
    (24, 24, 16, 32),
    (24, 24, 32, 32),
    (25, 5, 64, 64),
    (12, 12, 32, 64),
    (12, 12, 64, 64),
    (12, 12, 96, 24),
    (6, 6, 64, 128),
    (6, 6, 128, 128),
    (6, 6, 144, 32),
    (3, 3, 128, 256),
    (3, 3, 256, 128),
    (5, 3, 48, 96),
    (1, 1, 256, 64),
    (1, 1, 64, 144),
    (1, 1, 24, 8),
    (7, 7, 40, 120),
    (11, 11, 13, 20),
    (9, 9, 30, 10),
    (16, 16, 24, 72),
    (8, 8, 24, 9),
    (2, 3, 16, 24),
    (3, 3, 96, 160),
)
# (height, width, inputs, outputs, (kernel), stride)
_CONVOLUTIONS = (
    (96, 96, 3, 8, (3, 3), 2),
    (64, 64, 3, 16, (3, 3), 2),
    (32, 32, 3, 16, (3, 3), 1),
    (32, 32, 1, 8, (3, 3), 1),
    (32, 32, 16, 16, (3, 3), 1),
    (32, 32, 16, 32, (3, 3), 2),
    (16, 16, 32, 32, (3, 3), 1),
    (16, 16, 32, 64, (3, 3), 2),
    (8, 8, 64, 64, (3, 3), 1),
    (5, 5, 24, 36, (3, 3), 1),
    (3, 3, 32, 48, (3, 3), 1),
    (49, 10, 1, 64, (10, 4), 2),
    (20, 20, 4, 12, (5, 5), 1),
    (14, 14, 8, 16, (2, 2), 2),
    (9, 13, 5, 14, (3, 3), 1),
    (32, 32, 16, 32, (1, 1), 2),
    (16, 16, 32, 64, (1, 1), 2),
    (7, 9, 12, 20, (1, 1), 2),
    (12, 12, 10, 7, (3, 3), 1),
    (28, 28, 1, 6, (5, 5), 1),
    (10, 10, 3, 4, (7, 7), 2),
    (1, 40, 8, 16, (1, 5), 1),
)
# (height, width, channels, kernel, stride)
_DEPTHWISE = (
    (48, 48, 8, 3, 1),
    (48, 48, 16, 3, 2),
    (24, 24, 32, 3, 1),
    (24, 24, 32, 3, 2),
    (12, 12, 64, 3, 1),
    (12, 12, 64, 3, 2),
    (6, 6, 128, 3, 1),
    (6, 6, 128, 3, 2),
    (3, 3, 256, 3, 1),
    (25, 5, 64, 3, 1),
    (16, 16, 24, 3, 1),
    (16, 16, 72, 3, 2),
    (11, 7, 20, 3, 1),
    (13, 9, 12, 3, 2),
    (8, 8, 144, 3, 1),
    (2, 2, 48, 3, 1),
    (10, 10, 13, 3, 1),
    (9, 9, 30, 3, 2),
    (4, 20, 4, 3, 1),
)
_LARGE_DEPTHWISE = (
    (12, 12, 96, 5, 2),
    (6, 6, 120, 5, 1),
    (12, 12, 24, 5, 1),
    (24, 24, 16, 5, 2),
    (3, 3, 144, 5, 1),
    (8, 9, 13, 5, 1),
    (9, 8, 30, 5, 2),
    (16, 16, 8, 5, 1),
    (14, 10, 40, 5, 1),
    (16, 16, 8, 7, 1),
    (12, 6, 20, 7, 2),
    (15, 15, 12, 4, 2),
)
# (inputs, outputs)
_DENSE = (
    (640, 128),
    (128, 128),
    (128, 8),
    (8, 128),
    (128, 640),
    (256, 2),
    (64, 12),
    (64, 10),
    (100, 33),
    (37, 50),
    (300, 20),
    (16, 16),
    (1024, 10),
    (250, 64),
)
_MAPS = (
    (12, 12, 64),
    (24, 24, 16),
    (6, 6, 96),
    (3, 3, 40),
    (9, 7, 13),
    (1, 1, 120),
    (5, 5, 33),
    (16, 8, 24),
    (4, 4, 7),
    (8, 8, 10),
)
_ROWS = (2, 3, 5, 10, 12, 20, 35, 100, 200)


def layers() -> Iterator[Graph]:
    """All cases."""
    for number, (name, shape, grow) in enumerate(_cases()):
        net = Network(f"{name}_{number}", shape)
        grow(net)
        yield net.graph()


def _cases() -> Iterator[tuple[str, tuple[int, ...], Grow]]:
    for shape, grow in _weighted():
        yield "weighted", shape, partial(grow, activation=Activation.RELU)
    for shape, grow in list(_weighted())[::2]:
        yield "linear", shape, grow
    for number, (height, width, channels) in enumerate(_MAPS):
        shape = (1, height, width, channels)
        for name, grow in _of_maps(height, width, channels, number).items():
            yield name, shape, grow
    for units in _ROWS:
        yield "softmax", (1, units), _softmax


def _weighted() -> Iterator[tuple[tuple[int, ...], Grow]]:
    for height, width, inputs, outputs in _POINTWISE:
        shape = (1, height, width, inputs)
        yield shape, partial(Network.conv, x="input", channels=outputs, kernel=(1, 1))
    for height, width, inputs, outputs, kernel, stride in _CONVOLUTIONS:
        shape = (1, height, width, inputs)
        taken = {"channels": outputs, "kernel": kernel, "stride": stride}
        yield shape, partial(Network.conv, x="input", **taken)
    for height, width, channels, size, stride in (*_DEPTHWISE, *_LARGE_DEPTHWISE):
        shape = (1, height, width, channels)
        yield shape, partial(Network.depthwise, x="input", kernel=size, stride=stride)
    for inputs, units in _DENSE:
        yield (1, inputs), partial(Network.dense, x="input", units=units)


def _softmax(net: Network) -> str:
    return net.add(ops.Softmax(), "input", quantization=PROBABILITIES)


def _of_maps(height: int, width: int, channels: int, number: int) -> dict[str, Grow]:
    """Everything that has no weights."""
    size = (height, width)
    other, gate = (1, height, width, channels), (1, 1, 1, channels)
    pools = {
        "average": ops.AveragePool2D(size, size),
        "average_small": ops.AveragePool2D((2, 2), (2, 2), Padding.SAME),
        "max": ops.MaxPool2D((3, 3), (2, 2), Padding.SAME),
        "max_small": ops.MaxPool2D((2, 2), (2, 2), Padding.SAME),
    }
    activation = _ACTIVATIONS[number % 2]
    axes, pads = np.array([1, 2], np.int32), np.array([[0, 0], [1, 1], [0, 1], [0, 0]], np.int32)
    return {
        **{name: (lambda net, op=op: net.add(op, "input")) for name, op in pools.items()},
        "mean": lambda net: net.mean("input", keep_dims=bool(number % 2)),
        "add": lambda net: net.add(ops.Add(activation), "input", _input(net, other)),
        "mul": lambda net: net.add(ops.Mul(), "input", _input(net, other)),
        "gate": lambda net: net.add(ops.Mul(activation), "input", _input(net, gate)),
        "add_channels": lambda net: net.add(ops.Add(activation), "input", _input(net, gate)),
        "hard_swish": lambda net: net.add(ops.HardSwish(), "input"),
        "logistic": lambda net: net.add(ops.Logistic(), "input", quantization=PROBABILITIES),
        "pad": lambda net: net.add(ops.Pad(), "input", net.constant("pads", pads)),
        "pad_with": lambda net: net.add(
            ops.PadV2(), "input", net.constant("pads", pads), _fill(net)
        ),
        "difference": lambda net: net.add(ops.Sub(activation), "input", _input(net, other)),
        "relu": lambda net: net.add(ops.Relu(), "input"),
        "relu6": lambda net: net.add(ops.Relu6(), "input"),
        "requantize": lambda net: net.add(ops.Quantize(), "input", quantization=PROBABILITIES),
        "borders": _borders,
        "transpose": lambda net: net.add(
            ops.Transpose(), "input", net.constant("order", np.array([0, 3, 1, 2], np.int32))
        ),
        "join": lambda net: net.add(ops.Concatenation(3), "input", _input(net, other)),
        "mean_of_channels": lambda net: net.add(
            ops.Mean(), "input", net.constant("axes", axes[:1] + 2)
        ),
    }


def _borders(net: Network) -> str:
    """To float, and from float."""
    x = net.add(ops.Dequantize(), "input", dtype=DType.FLOAT32)
    return net.add(ops.Quantize(), x, quantization=PROBABILITIES)


def _fill(net: Network) -> str:
    quantization = net.tensors["input"].quantization
    return net.constant("fill", np.array([-100], np.int8), quantization)


def _input(net: Network, shape: tuple[int, ...]) -> str:
    """A second input, quantized as the first."""
    name = "other"
    net.tensors[name] = Tensor(name, shape, DType.INT8, net.tensors["input"].quantization)
    net.values[name] = net.random.integers(
        -128, 128, (len(net.values["input"]), *shape[1:])
    ).astype(np.int8)
    return name
