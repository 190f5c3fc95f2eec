"""The models that `make bench` measures, made from seeds alone: integers in, the same bytes out.

Nothing is trained and nothing is downloaded. Weights are drawn as int8; each layer then gets the
weight scales and biases with which, on a few seeded inputs, every channel of its output has
deviation 1 around a drawn mean, as batch normalization would leave it. So no activation is dead or
saturated, layer after layer. Sums are taken on integers, which is exact in any order, so every
machine makes the same files.

    python benchmarks/models.py [FOLDER] [NAME ...]     writes NAME.tflite
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.convert import tflite_writer
from edgekit.errors import unknown_name
from edgekit.graph import ops
from edgekit.graph.ir import Array, DType, Graph, Node, Quantization, Tensor
from edgekit.graph.ops import Activation
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call
from edgekit.graph.shapes import Shape, infer
from edgekit.models import layers, registry
from edgekit.models.blocks import Gate, Residual, Sequence
from edgekit.models.layers import Layer

SAMPLES = 8
CLASSES = 10
PIXELS = Quantization.per_tensor(1 / 128, -1)
PROBABILITIES = Quantization.per_tensor(1 / 256, -128)
# Outputs of deviation 1 are clipped at four: the scale and the zero point of each activation.
_ENDS = {
    Activation.NONE: (-4.0, 4.0),
    Activation.RELU: (0.0, 4.0),
    Activation.RELU6: (0.0, 6.0),
}
_FUSED = {
    "relu": Activation.RELU,
    "relu6": Activation.RELU6,
    "hard_sigmoid": Activation.RELU6,  # relu6(x + 3); the factor 1/6 lies in the next weights
}


class Network:
    """An int8 graph that grows node by node, with its values on the samples."""

    def __init__(self, name: str, shape: Shape, quantization: Quantization = PIXELS) -> None:
        self.name = name
        self.random = np.random.default_rng([len(name), *name.encode()])
        self.tensors = {"input": Tensor("input", shape, DType.INT8, quantization)}
        self.nodes: list[Node] = []
        self.values: dict[str, Array] = {"input": self._smooth(shape)}

    def _smooth(self, shape: Shape) -> npt.NDArray[np.int8]:
        """Samples whose neighbours are alike, as those of pictures and spectra."""
        rough = self.random.integers(
            -96, 97, (SAMPLES, *(-(-n // 4) for n in shape[1:-1]), shape[-1])
        )
        for axis in range(1, len(shape) - 1):
            rough = rough.repeat(4, axis=axis)
        cut = tuple(slice(n) for n in shape[1:])
        fine = self.random.integers(-31, 32, (SAMPLES, *shape[1:]))
        return (rough[(slice(None), *cut)] + fine).astype(np.int8)

    def graph(self) -> Graph:
        """The network so far, from "input" to the last node."""
        return Graph(self.name, self.tensors, tuple(self.nodes), ("input",), self.nodes[-1].outputs)

    def shape(self, name: str) -> Shape:
        return self.tensors[name].shape

    def constant(self, name: str, data: Array, quantization: Quantization | None = None) -> str:
        self.tensors[name] = Tensor.constant(name, data, quantization)
        return name

    def add(self, op: ops.Op, *inputs: str, quantization: Quantization | None = None) -> str:
        """A node that is computed at once; quantized as its first input if nothing is said."""
        read = tuple(self.tensors[name] for name in inputs)
        (shape,) = infer(op, read)
        name = f"{op.tflite_name.lower()}_{len(self.nodes)}"
        self.tensors[name] = Tensor(name, shape, DType.INT8, quantization or read[0].quantization)
        node = Node(name, op, inputs, (name,))
        self.nodes.append(node)
        values = tuple(
            self.values[tensor.name] if tensor.data is None else tensor.data for tensor in read
        )
        (self.values[name],) = evaluate(Call(node, read, (self.tensors[name],), values))
        return name

    def conv(
        self, x: str, channels: int, kernel: tuple[int, int], stride: int = 1, **act: Any
    ) -> str:
        op = ops.Conv2D((stride, stride))
        return self._weighted(op, x, (channels, *kernel, self.shape(x)[3]), 0, **act)

    def depthwise(self, x: str, kernel: int, stride: int = 1, **act: Any) -> str:
        op = ops.DepthwiseConv2D((stride, stride))
        return self._weighted(op, x, (1, kernel, kernel, self.shape(x)[3]), 3, **act)

    def dense(self, x: str, units: int, **act: Any) -> str:
        return self._weighted(ops.FullyConnected(), x, (units, self.shape(x)[-1]), None, **act)

    def _weighted(
        self,
        op: Any,
        x: str,
        shape: Shape,
        axis: int | None,
        activation: Activation = Activation.NONE,
        mean: float = 0.0,
    ) -> str:
        """Weights drawn, then scaled (per channel along `axis`) as the samples' sums ask."""
        draw = self.random.integers(-64, 64, (2, *shape))
        weights = (draw[0] + draw[1]).clip(-127, 127).astype(np.int8)  # a triangle
        sums = self._sums(op, x, weights)
        centre = sums.mean(axis=0)
        deviation = np.sqrt(((sums - centre) ** 2).mean(axis=0))
        if axis is None:
            deviation = np.array([np.sqrt((deviation**2).mean())])
        deviation = np.maximum(deviation, 1.0)
        source = self.tensors[x].quantization
        assert source is not None
        scales = (1 / (deviation * source.scale)).astype(np.float32)
        drift = self.random.integers(-32, 65, len(centre)) / 64 + mean
        bias = np.rint(drift * deviation - centre).astype(np.int32)
        name = f"{op.tflite_name.lower()}_{len(self.nodes)}"
        of_bias = (scales * np.float32(source.scale)).astype(np.float32)
        return self.add(
            replace(op, activation=activation),
            x,
            self.constant(f"{name}/weights", weights, _per_channel(scales, axis or 0)),
            self.constant(f"{name}/bias", bias, _per_channel(of_bias, 0)),
            quantization=_affine(*_ENDS[activation]),
        )

    def _sums(self, op: ops.Op, x: str, weights: npt.NDArray[np.int8]) -> npt.NDArray[np.float64]:
        """Sums of weight times input less zero point, (positions, channels): integers, exactly."""
        quantization = self.tensors[x].quantization
        assert quantization is not None
        real = self.values[x].astype(np.float32) - np.float32(quantization.zero_point)
        read = (
            Tensor("x", self.shape(x), DType.FLOAT32),
            Tensor.constant("w", weights.astype(np.float32)),
        )
        (shape,) = infer(op, read)
        node, written = Node("sums", op, ("x", "w"), ("y",)), Tensor("y", shape, DType.FLOAT32)
        (sums,) = evaluate(Call(node, read, (written,), (real, read[1].data)))
        return sums.reshape(-1, shape[-1]).astype(np.float64)

    def sum(self, x: str, y: str, activation: Activation = Activation.NONE) -> str:
        return self.add(ops.Add(activation), x, y, quantization=_affine(*_ENDS[activation]))

    def mean(self, x: str, keep_dims: bool) -> str:
        axes = self.constant(f"axes_{len(self.nodes)}", np.array([1, 2], np.int32))
        values = self.values[x].astype(np.int64).mean(axis=(1, 2))
        source = self.tensors[x].quantization
        assert source is not None
        ends = (
            (np.array([values.min(), values.max()]) - source.zero_point) * source.scale
        ).tolist()
        return self.add(ops.Mean(keep_dims), x, axes, quantization=_affine(*ends))

    def flat_pool(self, x: str) -> str:
        """AVERAGE_POOL_2D over everything, then RESHAPE, as Keras' converter leaves them."""
        size = self.shape(x)[1:3]
        x = self.add(ops.AveragePool2D(size, size), x)
        shape = np.array([1, self.shape(x)[3]], np.int32)
        return self._reshaped(x, shape)

    def _reshaped(self, x: str, shape: npt.NDArray[np.int32]) -> str:
        name = self.constant(f"shape_{len(self.nodes)}", shape)
        return self.add(ops.Reshape(), x, name)

    def classifier(self, x: str, classes: int) -> Graph:
        self.add(ops.Softmax(), self.dense(x, classes), quantization=PROBABILITIES)
        return self.graph()


def _affine(low: float, high: float) -> Quantization:
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / 255))
    return Quantization.per_tensor(scale, int(np.rint(-128 - low / scale)))


def _per_channel(scales: npt.NDArray[np.float32], axis: int) -> Quantization:
    return Quantization(scales, np.zeros(len(scales), np.int64), axis)


def resnet8() -> Graph:
    """MLPerf Tiny's image classifier: (1, 32, 32, 3) -> 10 classes."""
    net = Network("resnet8", (1, 32, 32, 3))
    x = net.conv("input", 16, (3, 3), activation=Activation.RELU)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        y = net.conv(x, channels, (3, 3), stride, activation=Activation.RELU)
        y = net.conv(y, channels, (3, 3))
        x = net.conv(x, channels, (1, 1), stride) if stride > 1 else x
        x = net.sum(x, y, Activation.RELU)
    return net.classifier(net.flat_pool(x), 10)


def ds_cnn() -> Graph:
    """MLPerf Tiny's keyword spotter: (1, 49, 10, 1) -> 12 words."""
    net = Network("ds_cnn", (1, 49, 10, 1), Quantization.per_tensor(0.58, 83))
    x = net.conv("input", 64, (10, 4), 2, activation=Activation.RELU)
    for _ in range(4):
        x = net.depthwise(x, 3, activation=Activation.RELU)
        x = net.conv(x, 64, (1, 1), activation=Activation.RELU)
    return net.classifier(net.flat_pool(x), 12)


def dense_autoencoder() -> Graph:
    """MLPerf Tiny's anomaly detector: (1, 640) -> (1, 640)."""
    net, x = Network("dense_autoencoder", (1, 640), Quantization.per_tensor(0.4, 90)), "input"
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, units, activation=Activation.RELU)
    net.dense(x, 640)
    return net.graph()


def of_registry(name: str, arch: str, alpha: float, resolution: int) -> Graph:
    """One of edgekit's architectures: (1, resolution, resolution, 3) -> 10 classes."""
    spec = registry.resolve(arch, alpha, resolution=resolution, classes=CLASSES)
    net = Network(name, (1, resolution, resolution, 3))
    _grow(net, "input", spec.layers)
    net.add(ops.Softmax(), net.nodes[-1].outputs[0], quantization=PROBABILITIES)
    return net.graph()


def _grow(net: Network, x: str, layer: Layer) -> str:
    """Add an architecture's tree, with batch normalizations and activations inside their layers."""
    parts = deque(_flat(layer))
    while parts:
        part = parts.popleft()
        following = parts[0] if parts else None
        match part:
            case layers.Conv() | layers.Linear():
                if isinstance(following, layers.BatchNorm):
                    parts.popleft()
                    following = parts[0] if parts else None
                fused = {}
                if isinstance(following, layers.Activation) and following.kind in _FUSED:
                    parts.popleft()
                    shift = 3.0 if following.kind == "hard_sigmoid" else 0.0
                    fused = {"activation": _FUSED[following.kind], "mean": shift}
                x = _multiplied(net, x, part, fused)
            case layers.Activation(kind="hard_swish"):
                x = net.add(ops.HardSwish(), x, quantization=_affine(-0.375, 4.0))
            case layers.GlobalAveragePool():
                x = net.mean(x, part.keep_dims)
            case Residual():
                body = _grow(net, x, Sequence(part.body))
                x = net.sum(_grow(net, x, Sequence(part.shortcut)), body)
            case Gate():
                gate = _grow(net, x, Sequence(part.layers))
                x = net.add(ops.Mul(), x, gate, quantization=_affine(-2.0, 18.0))
            case _:
                raise TypeError(f"{part} has no place in a benchmark yet.")
    return x


def _multiplied(net: Network, x: str, layer: layers.Conv | layers.Linear, fused: Any) -> str:
    if isinstance(layer, layers.Linear):
        return net.dense(x, layer.out, **fused)
    if layer.groups is None:
        return net.depthwise(x, layer.kernel, layer.stride, **fused)
    return net.conv(x, layer.out, (layer.kernel, layer.kernel), layer.stride, **fused)


def _flat(layer: Layer) -> Iterator[Layer]:
    """The layers of nested sequences."""
    if not isinstance(layer, Sequence):
        yield layer
        return
    for _, part in layer.layers:
        yield from _flat(part)


MODELS: Mapping[str, Callable[[], Graph]] = {
    "resnet8": resnet8,
    "ds_cnn": ds_cnn,
    "dense_autoencoder": dense_autoencoder,
    **{
        name: partial(of_registry, name, arch, alpha, resolution)
        for name, arch, alpha, resolution in (
            ("mobilenet_v1_0.25_128", "mobilenet_v1", 0.25, 128),
            ("mobilenet_v2_0.35_96", "mobilenet_v2", 0.35, 96),
            ("mobilenet_v3_small_0.5_96", "mobilenet_v3_small", 0.5, 96),
            ("efficientnet_lite0_0.25_96", "efficientnet_lite0", 0.25, 96),
        )
    },
}


def main() -> None:
    """Write the files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/models")
    folder.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        if name not in MODELS:
            raise unknown_name("model", name, MODELS)
        path = folder / f"{name}.tflite"
        path.write_bytes(tflite_writer.write(MODELS[name]()))
        print(path)


if __name__ == "__main__":
    main()
