"""A network's graph before anybody trained it: the right shapes, placeholder weights (no torch).

A `ModelSpec` enters; a float `Graph` leaves that the quantizer turns into the very operators that
the trained network will have, so that sizes and memory are known beforehand. Every weight is the
same small number: nothing can be learnt from what it computes. A BatchNorm behind a convolution is
left out, as it will be folded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Tensor
from edgekit.graph.ops import Op, Padding
from edgekit.graph.passes import simplify
from edgekit.graph.shapes import infer
from edgekit.models.blocks import Gate, Joined, Named, Residual, Sequence
from edgekit.models.layers import (
    Activation,
    AveragePool,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
)
from edgekit.models.spec import ModelSpec

_INPUT, _PLACEHOLDER = "image", 0.01


def outline(spec: ModelSpec) -> Graph:
    """The simplified float graph of a model, (1,H,W,3) -> logits (1, classes)."""
    draft = _Draft()
    _, channels, height, width = spec.input_shape
    draft.tensors[_INPUT] = Tensor(_INPUT, (1, height, width, channels), DType.FLOAT32)
    output = _add(draft, spec.layers, _INPUT, "")
    graph = Graph(spec.arch, draft.tensors, tuple(draft.nodes), (_INPUT,), (output,))
    return simplify(graph)


@dataclass
class _Draft:
    """Tensors and nodes so far; every node is named after its layer."""

    tensors: dict[str, Tensor] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def constant(self, name: str, data: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> str:
        self.tensors[name] = Tensor.constant(name, data)
        return name

    def weights(self, name: str, *shape: int) -> str:
        return self.constant(name, np.full(shape, _PLACEHOLDER, np.float32))

    def add(self, name: str, op: Op, *inputs: str) -> str:
        (shape,) = infer(op, [self.tensors[source] for source in inputs])
        self.tensors[name] = Tensor(name, shape, DType.FLOAT32)
        self.nodes.append(Node(name, op, inputs, (name,)))
        return name


def _add(draft: _Draft, layer: Layer, x: str, name: str) -> str:
    """Add a layer that reads x; returns what it writes."""
    match layer:
        case Sequence():
            return _along(draft, layer.layers, x, name)
        case Residual():
            started = _along(draft, layer.before, x, name)
            past = _along(draft, layer.shortcut, started, name) if layer.shortcut else x
            body = _along(draft, layer.body, started, name)
            joined = draft.add(f"{name}.sum", ops.Add(), body, past)
            return _along(draft, layer.after, joined, name)
        case Gate():
            gate = _along(draft, layer.layers, x, name)
            return draft.add(f"{name}.product", ops.Mul(), x, gate)
        case Joined():
            body = _along(draft, layer.body, x, name)
            return draft.add(f"{name}.joined", ops.Concatenation(3), x, body)
    return _leaf(draft, layer, x, name)


def _along(draft: _Draft, layers: Named, x: str, name: str) -> str:
    for part, layer in layers:
        x = _add(draft, layer, x, f"{name}.{part}" if name else part)
    return x


def _leaf(draft: _Draft, layer: Layer, x: str, name: str) -> str:
    match layer:
        case Conv():
            return _conv(draft, layer, x, name)
        case BatchNorm():
            return _batch_norm(draft, x, name)
        case Activation():
            return _activation(draft, layer, x, name)
        case MaxPool():
            same, source = _padded(draft, layer.kernel, layer.stride, layer.padding, x, name)
            window, step = (layer.kernel,) * 2, (layer.stride,) * 2
            return draft.add(name, ops.MaxPool2D(window, step, same), source)
        case AveragePool():
            window = (layer.kernel,) * 2
            return draft.add(name, ops.AveragePool2D(window, window), x)
        case GlobalAveragePool():
            return _global_average(draft, layer, x, name)
        case Flatten():
            return _flattened(draft, x, name)
        case Linear():
            depth = draft.tensors[x].shape[-1]
            weights = draft.weights(f"{name}.weight", layer.out, depth)
            bias = draft.weights(f"{name}.bias", layer.out)
            return draft.add(name, ops.FullyConnected(), x, weights, bias)
    raise TypeError(f"No operator is known for {layer}.")


def _global_average(draft: _Draft, layer: GlobalAveragePool, x: str, name: str) -> str:
    if draft.tensors[x].shape[1:3] == (1, 1):  # the mean of one value is left out
        return x if layer.keep_dims else _flattened(draft, x, name)
    axes = draft.constant(f"{name}.axes", np.array([1, 2], np.int32))
    return draft.add(name, ops.Mean(layer.keep_dims), x, axes)


def _flattened(draft: _Draft, x: str, name: str) -> str:
    shape = np.array([1, draft.tensors[x].elements], np.int32)
    return draft.add(name, ops.Reshape(), x, draft.constant(f"{name}.shape", shape))


def _conv(draft: _Draft, layer: Conv, x: str, name: str) -> str:
    channels = draft.tensors[x].shape[3]
    groups, kernel, step = layer.groups_for(channels), layer.kernel, (layer.stride,) * 2
    padding, source = _padded(draft, kernel, layer.stride, layer.padding, x, name)
    bias = draft.weights(f"{name}.bias", layer.out)
    if groups == channels > 1 and layer.out % channels == 0:
        weights = draft.weights(f"{name}.weight", 1, kernel, kernel, layer.out)
        depthwise = ops.DepthwiseConv2D(step, padding=padding)
        return draft.add(name, depthwise, source, weights, bias)
    weights = draft.weights(f"{name}.weight", layer.out, kernel, kernel, channels // groups)
    return draft.add(name, ops.Conv2D(step, padding=padding), source, weights, bias)


def _padded(
    draft: _Draft, kernel: int, stride: int, mode: str, x: str, name: str
) -> tuple[Padding, str]:
    """The padding of a window, and what it then reads: a Pad where symmetric padding needs one."""
    if mode == "same" or stride == 1 or kernel == 1:
        return Padding.SAME, x
    half = kernel // 2
    pairs = np.array([[0, 0], [half, half], [half, half], [0, 0]], np.int32)
    paddings = draft.constant(f"{name}.paddings", pairs)
    return Padding.VALID, draft.add(f"{name}.pad", ops.Pad(), x, paddings)


def _batch_norm(draft: _Draft, x: str, name: str) -> str:
    if draft.nodes and isinstance(draft.nodes[-1].op, ops.Conv2D | ops.DepthwiseConv2D):
        return x
    channels = draft.tensors[x].shape[3]
    product = draft.add(
        f"{name}.product", ops.Mul(), x, draft.weights(f"{name}.weight", 1, 1, 1, channels)
    )
    return draft.add(name, ops.Add(), product, draft.weights(f"{name}.bias", 1, 1, 1, channels))


def _activation(draft: _Draft, layer: Activation, x: str, name: str) -> str:
    match layer.kind:
        case "relu":
            return draft.add(name, ops.Relu(), x)
        case "relu6":
            return draft.add(name, ops.Relu6(), x)
        case "hard_swish":
            return draft.add(name, ops.HardSwish(), x)
        case "sigmoid":
            return draft.add(name, ops.Logistic(), x)
        case "swish":
            gate = draft.add(f"{name}.gate", ops.Logistic(), x)
            return draft.add(name, ops.Mul(), x, gate)
    three = draft.constant(f"{name}.three", np.full((1, 1, 1, 1), 3.0, np.float32))
    sixth = draft.constant(f"{name}.sixth", np.full((1, 1, 1, 1), 1 / 6, np.float32))
    lifted = draft.add(f"{name}.lifted", ops.Add(), x, three)
    clipped = draft.add(f"{name}.clipped", ops.Relu6(), lifted)
    return draft.add(name, ops.Mul(), clipped, sixth)
