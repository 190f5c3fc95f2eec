"""Small torch networks around one construct each, registered beside those of `torch_families`."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own habit)
from torch import Tensor, nn
from torch_families import Head, Made, conv, network


class Apply(nn.Module):
    """A function of the inputs and some modules as a module."""

    def __init__(self, function: Callable[..., object], *parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(parts)

    def forward(self, *given: Tensor) -> object:
        return self.function(*given, *self.parts)


def _after_conv(function: Callable[..., Tensor], *parts: nn.Module) -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), Apply(function, *parts), Head(8))


@network
def audio_1d() -> Made:
    layers = [nn.Conv1d(1, 8, 9, 4, 4), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)]
    layers += [nn.Conv1d(8, 12, 3, padding=1, groups=4), nn.ReLU(), nn.AvgPool1d(2)]
    layers += [nn.Conv1d(12, 16, 3, dilation=2), nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, 4)), (torch.randn(1, 1, 256),)


@network
def keyword_spotting() -> Made:
    """(1, 40 coefficients, 49 steps) moved to pictures with unsqueeze."""
    net = nn.Sequential(
        conv(1, 16, 3, 2), conv(16, 16, 3, 1, 16), conv(16, 16), Head(16, mean=True)
    )
    return Apply(lambda x, net: net(x.unsqueeze(1)), net), (torch.randn(1, 40, 49),)


@network
def autoencoder() -> Made:
    layers: list[nn.Module] = []
    for i, o in ((64, 32), (32, 8), (8, 32)):
        layers += [nn.Linear(i, o), nn.BatchNorm1d(o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(32, 64)), (torch.randn(1, 64),)


@network
def two_inputs() -> Made:
    def join(image: Tensor, vector: Tensor, net: nn.Module, dense: nn.Module) -> Tensor:
        return torch.cat([net(image), dense(vector)], 1)

    module = Apply(join, nn.Sequential(conv(3, 8, 3, 2), Head(8)), nn.Linear(6, 4))
    return module, (torch.randn(1, 3, 24, 24), torch.randn(1, 6))


@network
def two_outputs() -> nn.Module:
    def heads(x: Tensor, trunk: nn.Module, a: nn.Module, b: nn.Module) -> tuple[Tensor, Tensor]:
        features = trunk(x)
        return a(features).softmax(1), b(features)

    return Apply(heads, conv(3, 8, 3, 2), Head(8), nn.Conv2d(8, 4, 1))


@network
def detector_heads() -> nn.Module:
    """SSD's heads: NCHW to NHWC, flattened, joined along the boxes."""

    def boxes(x: Tensor, trunk: nn.Module, more: nn.Module, a: nn.Module, b: nn.Module) -> Tensor:
        x = trunk(x)
        found = [(a, x), (b, more(x))]
        return torch.cat([h(f).permute(0, 2, 3, 1).reshape(1, -1, 4) for h, f in found], 1)

    parts = (conv(3, 8, 3, 4), conv(8, 8, 3, 2), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 12, 1))
    return Apply(boxes, *parts)


@network
def flatten_by_view() -> nn.Module:
    return nn.Sequential(
        conv(3, 4, 3, 8), Apply(lambda x: x.view(x.size(0), -1)), nn.Linear(100, 5)
    )


@network
def normalized_inside() -> nn.Module:
    """Preprocessing as the first op: (x - mean) / std."""
    mean, std = (
        torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1),
        torch.tensor([0.2, 0.3, 0.25]).view(1, 3, 1, 1),
    )
    return nn.Sequential(Apply(lambda x: (x - mean) / std), conv(3, 8, 3, 2), Head(8))


@network
def pixels_inside() -> nn.Module:
    return nn.Sequential(Apply(lambda x: x / 255.0 * 2 - 1), conv(3, 8, 3, 2), Head(8))


@network
def channels_last_input() -> Made:
    net = nn.Sequential(conv(3, 8, 3, 2), Head(8))
    return Apply(lambda x, net: net(x.permute(0, 3, 1, 2)), net), (torch.randn(1, 32, 32, 3),)


@network
def depth_multiplier() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1, groups=3), nn.ReLU(), Head(12))


@network
def asymmetric_pad() -> nn.Module:
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, 2), nn.ReLU6(), Head(8))


@network
def constant_pad() -> nn.Module:
    return nn.Sequential(nn.ConstantPad2d(1, 0.5), nn.Conv2d(3, 8, 3, 2), Head(8))


@network
def reflection_pad() -> nn.Module:
    return nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(3, 8, 3, 2), Head(8))


@network
def dilated() -> nn.Module:
    return nn.Sequential(
        conv(3, 8, 3, 2), nn.Conv2d(8, 8, 3, padding=2, dilation=2), nn.ReLU(), Head(8)
    )


@network
def hardtanh() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.Hardtanh(-1, 1), nn.Conv2d(8, 8, 1), nn.Hardtanh(-2, 3), Head(8)
    )


@network
def clamped() -> nn.Module:
    return _after_conv(lambda x: x.clamp(0.1, 0.9))


@network
def leaky_relu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.LeakyReLU(0.1), Head(8))


@network
def prelu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.PReLU(8), Head(8))


@network
def gelu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.GELU(), Head(8))


@network
def elu() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ELU(), Head(8))


@network
def tanh() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Tanh(), Head(8))


@network
def mish() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Mish(), Head(8))


@network
def swish_by_hand() -> nn.Module:
    return _after_conv(lambda x: x * torch.sigmoid(x))


@network
def hard_swish_by_hand() -> nn.Module:
    return _after_conv(lambda x: x * F.relu6(x + 3) / 6)


@network
def hard_sigmoid_by_hand() -> nn.Module:
    return _after_conv(lambda x: x * (F.relu6(x + 3) / 6))


@network
def layer_scale() -> nn.Module:
    scale = torch.linspace(0.1, 0.9, 8).view(8, 1, 1)
    return _after_conv(lambda x, c: x + scale * c(x), nn.Conv2d(8, 8, 3, padding=1))


@network
def subtract_mean() -> nn.Module:
    return _after_conv(lambda x: x - x.mean((2, 3), keepdim=True))


@network
def spatial_attention() -> nn.Module:
    """CBAM: mean and maximum over channels."""

    def attend(x: Tensor, c: nn.Module) -> Tensor:
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(c(pooled))

    return _after_conv(attend, nn.Conv2d(2, 1, 7, padding=3))


@network
def spatial_gate() -> nn.Module:
    return _after_conv(lambda x, c: x * torch.sigmoid(c(x)), nn.Conv2d(8, 1, 1))


@network
def efficient_channel_attention() -> nn.Module:
    """ECA: a 1-D convolution over the channels of the pooled vector."""

    def attend(x: Tensor, c: nn.Module) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
        return x * torch.sigmoid(c(gate).transpose(-1, -2).unsqueeze(-1))

    return _after_conv(attend, nn.Conv1d(1, 1, 3, padding=1, bias=False))


@network
def dense_gate() -> nn.Module:
    """SE with linear layers and views, as the first implementations had it."""

    def gate(x: Tensor, a: nn.Module, b: nn.Module) -> Tensor:
        y = F.adaptive_avg_pool2d(x, 1).view(x.size(0), 8)
        return x * torch.sigmoid(b(F.relu(a(y)))).view(x.size(0), 8, 1, 1)

    return _after_conv(gate, nn.Linear(8, 4), nn.Linear(4, 8))


@network
def coordinate_channels() -> nn.Module:
    """CoordConv: constant planes joined to the features."""
    planes = torch.stack(
        torch.meshgrid(torch.linspace(-1, 1, 20), torch.linspace(-1, 1, 20), indexing="ij")
    )
    return nn.Sequential(
        conv(3, 6, 3, 2),
        Apply(lambda x: torch.cat([x, planes[None]], 1)),
        nn.Conv2d(8, 8, 1),
        Head(8),
    )


@network
def split_unequal() -> nn.Module:
    def parts(x: Tensor, c: nn.Module) -> Tensor:
        a, b = x.split([3, 5], 1)
        return torch.cat([c(a), b], 1)

    return _after_conv(parts, nn.Conv2d(3, 3, 1))


@network
def slice_rows() -> nn.Module:
    return _after_conv(lambda x: x[:, :, 2:-3, ::2])


@network
def focus() -> nn.Module:
    """YOLOv5's first layer: four strided slices joined."""

    def cut(x: Tensor) -> Tensor:
        rows = [x[..., ::2, :], x[..., 1::2, :]]
        return torch.cat([row[..., start::2] for start in (0, 1) for row in rows], 1)

    return nn.Sequential(Apply(cut), conv(12, 8, 3), Head(8))


@network
def space_to_depth() -> nn.Module:
    return nn.Sequential(nn.PixelUnshuffle(2), conv(12, 8, 3), Head(8))


@network
def pixel_shuffle() -> nn.Module:
    return nn.Sequential(conv(3, 12, 3, 2), nn.PixelShuffle(2), conv(3, 8), Head(8))


@network
def upsample_nearest() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), nn.Upsample(scale_factor=2), Head(8))


@network
def conv_transposed() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), nn.ConvTranspose2d(8, 8, 2, 2), Head(8))


@network
def group_norm() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.GroupNorm(2, 8), Head(8))


@network
def layer_norm() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.Flatten(), nn.LayerNorm(8 * 19 * 19), nn.Linear(8 * 19 * 19, 5)
    )


@network
def lstm() -> Made:
    return Apply(lambda x, cell: cell(x)[0], nn.LSTM(6, 8, batch_first=True)), (
        torch.randn(1, 5, 6),
    )


@network
def matmul_tensors() -> nn.Module:
    return _after_conv(lambda x: (x.flatten(2) @ x.flatten(2).transpose(1, 2)).unsqueeze(-1))


@network
def dense_on_sequence() -> Made:
    mlp = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 6))
    return Apply(lambda x, net: (x + net(x)).mean(1), mlp), (torch.randn(1, 10, 6),)


@network
def max_over_pixels() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, 4))


@network
def adaptive_pool_grid() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 4))


@network
def log_softmax() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), Head(8), nn.LogSoftmax(1))


@network
def shared_weights() -> nn.Module:
    return _after_conv(lambda x, c: c(F.relu(c(x))), nn.Conv2d(8, 8, 3, padding=1))


@network
def scaled_dense() -> nn.Module:
    """A weight computed in the graph: standardized convolution."""

    class Standardized(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            w = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return F.conv2d(x, w / (w.std((1, 2, 3), keepdim=True) + 1e-5), self.bias, self.stride)

    return nn.Sequential(Standardized(3, 8, 3, 2), nn.ReLU(), Head(8))


@network
def argmax() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), Head(8), Apply(lambda x: x.argmax(1)))
