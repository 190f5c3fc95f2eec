"""Weights out of a .tflite file: its integers as the real numbers they stand for.

A graph and a `ModelSpec` enter; a state dict of float32 arrays leaves. The file's layers with
weights are taken in the order they are computed, and each must have the kernel and the stride of
the architecture's layer in its place. What a converter folded away comes back as a BatchNorm that
changes nothing but adds the layer's bias. Refused: files of another architecture, and networks for
which this could go wrong unnoticed, see `_require_plain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, UnsupportedError
from edgekit.graph.ir import Graph, Tensor
from edgekit.graph.ops import Conv2D, DepthwiseConv2D, FullyConnected
from edgekit.graph.verify import describe
from edgekit.models.blocks import Residual
from edgekit.models.layers import Activation, BatchNorm, Conv, Layer, Linear, Shape, walk
from edgekit.models.spec import ModelSpec

Floats = npt.NDArray[np.float32]

_IMAGENET = 1000
_WITH_BACKGROUND = 1001  # TensorFlow's models of ImageNet: class 0 is "background"


@dataclass(frozen=True, eq=False)
class _Weights:
    """A layer of the file; the weights as torch lays them out, OIHW or OI."""

    described: str
    stride: int
    weight: Floats
    bias: Floats


def state_of(graph: Graph, spec: ModelSpec) -> dict[str, Floats]:
    """The state dict of an architecture with a file's weights, without BatchNorm's counters.

    Of a classifier for 1,001 classes the first, "background", is left out where the architecture
    has 1,000. Any other number of classes stays as it is in the file.

    Raises:
        InputError: the file is of another architecture; the message names the first difference.
        UnsupportedError: the architecture's weights cannot be told from such a file.
    """
    _require_plain(spec)
    layers = [
        (name, layer, shape)
        for name, layer, shape in walk(spec.layers, spec.input_shape[1:])
        if isinstance(layer, Conv | BatchNorm | Linear)
    ]
    given = list(_given(graph))
    wanted = sum(not isinstance(layer, BatchNorm) for _, layer, _ in layers)
    if len(given) != wanted:
        raise InputError(
            f"The file has {len(given)} layers with weights, {spec.arch} has {wanted}.",
            hint="Name the architecture that was trained, with its alpha.",
        )
    rest = iter(given)
    state: dict[str, Floats] = {}
    for i, (name, layer, shape) in enumerate(layers):
        if isinstance(layer, BatchNorm):
            continue  # came with its convolution
        weights = next(rest)
        if isinstance(layer, Linear):
            weights = _classifier(weights, layer)
        _check(name, layer, shape, weights)
        state[f"{name}.weight"] = weights.weight
        if "bias" in layer.parameters(shape):
            state[f"{name}.bias"] = weights.bias
        elif i + 1 < len(layers):
            after, norm, _ = layers[i + 1]
            state |= _adding(after, norm, weights.bias)
    return state


def _require_plain(spec: ModelSpec) -> None:
    """Refuse networks whose converted form may have other weights, or the same in another order.

    Converters move the constants of hard-sigmoid and hard-swish into the layers beside them; which
    of two convolutions side by side comes first is up to them; and a BatchNorm that no convolution
    precedes stays, as a multiplication and an addition.
    """
    why = None
    before: Layer | None = None
    for name, layer, _ in walk(spec.layers, spec.input_shape[1:]):
        if isinstance(layer, Activation) and layer.kind.startswith("hard_"):
            why = why or f"a converter may move constants of '{name}' into other layers"
        if isinstance(layer, BatchNorm) and not (isinstance(before, Conv) and not before.bias):
            why = why or f"no convolution precedes its BatchNorm '{name}'"
        before = layer
    if _has_shortcut(spec.layers, spec.input_shape[1:]):
        why = why or "the order of its shortcuts' convolutions is not known"
    if why:
        raise UnsupportedError(
            f"The weights of {spec.arch} cannot be taken from a .tflite file: {why}.",
            hint="Give a checkpoint: .pth or .safetensors.",
        )


def _has_shortcut(layer: Layer, shape: Shape) -> bool:
    """Whether some residual block has layers on either way."""
    if isinstance(layer, Residual) and layer.shortcut:
        return True
    return any(_has_shortcut(part, at) for _, part, at in layer.children(shape))


def _given(graph: Graph) -> Iterator[_Weights]:
    """The file's layers with weights, in execution order."""
    for node in graph.nodes:
        if not isinstance(node.op, Conv2D | DepthwiseConv2D | FullyConnected):
            continue
        _, weight, *bias = graph.inputs_of(node)
        if weight.data is None or any(tensor.data is None for tensor in bias):
            raise UnsupportedError(f"{describe(node)} computes its weights.")
        real = _real(weight)
        if isinstance(node.op, DepthwiseConv2D):
            real = real.transpose(3, 0, 1, 2)  # 1HWC -> C1HW
        elif isinstance(node.op, Conv2D):
            real = real.transpose(0, 3, 1, 2)  # OHWI -> OIHW
        stride = 1 if isinstance(node.op, FullyConnected) else node.op.stride[0]
        added = _real(bias[0]) if bias else np.zeros(len(real), np.float32)
        yield _Weights(describe(node), stride, np.ascontiguousarray(real), added)


def _real(tensor: Tensor) -> Floats:
    """scale * (q - zero point), in double precision; floats stay as they are."""
    assert tensor.data is not None
    if tensor.quantization is None:
        return tensor.data.astype(np.float32)
    shape = [1] * tensor.data.ndim
    shape[tensor.quantization.axis] = -1
    zero_points = tensor.quantization.zero_points.reshape(shape)
    scales = tensor.quantization.scales.astype(np.float64).reshape(shape)
    return (scales * (tensor.data.astype(np.int64) - zero_points)).astype(np.float32)


def _adding(name: str, norm: Layer, bias: Floats) -> dict[str, Floats]:
    """A BatchNorm that adds a bias: (x - 0) / sqrt((1 - epsilon) + epsilon) * 1 + bias."""
    assert isinstance(norm, BatchNorm)
    ones = np.ones_like(bias)
    return {
        f"{name}.weight": ones,
        f"{name}.bias": bias,
        f"{name}.running_mean": np.zeros_like(bias),
        f"{name}.running_var": ones * np.float32(1 - norm.epsilon),
    }


def _classifier(weights: _Weights, layer: Linear) -> _Weights:
    """The classifier as a matrix (a 1x1 convolution is one), without TensorFlow's background."""
    matrix = weights.weight.reshape(weights.weight.shape[0], -1)
    skip = int(len(matrix) == _WITH_BACKGROUND and layer.out == _IMAGENET)
    return _Weights(weights.described, weights.stride, matrix[skip:], weights.bias[skip:])


def _check(name: str, layer: Layer, shape: Shape, weights: _Weights) -> None:
    expected, found = layer.parameters(shape)["weight"], weights.weight.shape
    if isinstance(layer, Linear):  # of any number of classes
        expected, found = expected[1:], found[1:]
    if found != expected:
        raise InputError(
            f"The file's {weights.described} has weights {found}, where '{name}' has {expected}.",
            hint="Name the architecture that was trained, with its alpha.",
        )
    if isinstance(layer, Conv) and weights.stride != layer.stride:
        raise InputError(
            f"The file's {weights.described} has stride {weights.stride}, where '{name}' has "
            f"{layer.stride}."
        )
