"""From a model's description to its `nn.Module`.

Enters a `ModelSpec`; leaves a module whose state-dict keys are the names in the spec's tree. The
module takes float images (N, 3, H, W), at any resolution, and returns logits (N, classes). Weights
are drawn from torch's global generator: the caller seeds it. See `checkpoints` for published ones.
"""

from __future__ import annotations

import math
from collections import OrderedDict

from torch import nn

from edgekit.models.blocks import Gate, Joined, Named, Residual, Sequence
from edgekit.models.layers import (
    Activation,
    ActivationKind,
    AveragePool,
    BatchNorm,
    Conv,
    Flatten,
    GlobalAveragePool,
    Layer,
    Linear,
    MaxPool,
    Shape,
)
from edgekit.models.modules import (
    GateBlock,
    JoinedBlock,
    ResidualBlock,
    SameConv2d,
    SameMaxPool2d,
)
from edgekit.models.spec import ModelSpec

_ACTIVATIONS: dict[ActivationKind, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "swish": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "hard_sigmoid": nn.Hardsigmoid,
}


def build(spec: ModelSpec) -> nn.Module:
    """The model as a module in training mode, freshly initialised."""
    module = _module(spec.layers, spec.input_shape[1:])
    _initialise(module)
    return module


def _module(layer: Layer, shape: Shape) -> nn.Module:
    """The module of one layer, or of a whole tree, for an input of `shape`."""
    match layer:
        case Sequence() | Residual() | Gate() | Joined():
            return _container(
                layer, {n: _module(part, at) for n, part, at in layer.children(shape)}
            )
        case Conv():
            return _conv(layer, shape[0])
        case BatchNorm():
            return nn.BatchNorm2d(shape[0], eps=layer.epsilon)
        case Activation(kind="sigmoid"):
            return nn.Sigmoid()
        case Activation():
            return _ACTIVATIONS[layer.kind](inplace=True)
        case MaxPool():
            pool = SameMaxPool2d if layer.padding == "same" else nn.MaxPool2d
            padding = 0 if layer.padding == "same" else layer.kernel // 2
            return pool(layer.kernel, layer.stride, padding)
        case AveragePool():
            return nn.AvgPool2d(layer.kernel)
        case GlobalAveragePool():
            pooled = nn.AdaptiveAvgPool2d(1)
            return pooled if layer.keep_dims else nn.Sequential(pooled, nn.Flatten(1))
        case Flatten():
            return nn.Flatten(1)
        case Linear():
            return nn.Linear(shape[0], layer.out)
    raise TypeError(f"No module is known for {layer}.")


def _container(layer: Layer, parts: dict[str, nn.Module]) -> nn.Module:
    def named(layers: Named) -> tuple[str, ...]:
        return tuple(name for name, _ in layers)

    match layer:
        case Residual():
            ways = map(named, (layer.before, layer.body, layer.shortcut, layer.after))
            return ResidualBlock(parts, *ways)
        case Gate():
            return GateBlock(OrderedDict(parts))
        case Joined():
            return JoinedBlock(OrderedDict(parts))
    return nn.Sequential(OrderedDict(parts))


def _conv(layer: Conv, channels: int) -> nn.Module:
    # At stride 1 an odd kernel needs as much on either side: symmetric is SAME, and cheaper.
    asymmetric = layer.padding == "same" and layer.stride > 1
    return (SameConv2d if asymmetric else nn.Conv2d)(
        channels,
        layer.out,
        layer.kernel,
        stride=layer.stride,
        padding=0 if asymmetric else layer.kernel // 2,
        groups=layer.groups_for(channels),
        bias=layer.bias,
    )


def _initialise(module: nn.Module) -> None:
    """Kaiming normal by fan-out (of one group) for convolutions, N(0, 0.01) for matrices.

    He et al. 2015, https://arxiv.org/abs/1502.01852. torch's own fan-out forgets the groups, which
    starts depthwise layers with far too small weights.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_out = math.prod(part.kernel_size) * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan_out))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.zeros_(part.bias)
