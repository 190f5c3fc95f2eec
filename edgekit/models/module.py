"""From a model's description to its `nn.Module`: the only file of this package that imports torch.

Enters a `ModelSpec`; leaves a module whose state-dict keys are the names in the spec's tree. The
module takes float images (N, 3, H, W), at any resolution, and returns logits (N, classes). Weights
are drawn from torch's global generator: the caller seeds it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

from torch import nn
from torch.nn import functional

from edgekit.models.layers import (
    Activation,
    BatchNorm,
    Conv,
    GlobalAveragePool,
    Layer,
    Linear,
    Sequence,
    Shape,
)
from edgekit.models.spec import ModelSpec


class SameConv2d(nn.Conv2d):
    """A strided convolution padded as TFLite's SAME: the odd row and column at the end.

    The padding depends on the size of the image, so it is computed at each call; it has no state,
    so that the keys are those of `nn.Conv2d`.
    """

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        (top, bottom), (left, right) = (
            # int(): while the ONNX exporter traces, a size is a tensor; it must become constant.
            same_padding(int(size), kernel, stride)
            for size, kernel, stride in zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        )
        return super().forward(functional.pad(x, (left, right, top, bottom)))


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Rows to add (before, after), as TFLite's SAME does: ceil(size / stride) positions."""
    missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return missing // 2, missing - missing // 2


def build(spec: ModelSpec) -> nn.Module:
    """The model as a module in training mode, freshly initialised."""
    module = _module(spec.layers, spec.input_shape[1:])
    _initialise(module)
    return module


def _module(layer: Layer, shape: Shape) -> nn.Module:
    """The module of one layer, or of a whole tree, for an input of `shape`."""
    match layer:
        case Sequence():
            parts = ((name, _module(child, at)) for name, child, at in layer.children(shape))
            return nn.Sequential(OrderedDict(parts))
        case Conv():
            return _conv(layer, shape[0])
        case BatchNorm():
            return nn.BatchNorm2d(shape[0], eps=layer.epsilon)
        case Activation(kind="relu6"):
            return nn.ReLU6(inplace=True)
        case GlobalAveragePool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        case Linear():
            return nn.Linear(shape[0], layer.out)
    raise TypeError(f"No module is known for {layer}.")


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
        bias=False,
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
        elif isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.zeros_(part.bias)
