"""The torch networks that `make_models` exports to ONNX: torchvision's families, narrowed.

Each function returns a module in evaluation mode and its example inputs; statistics of the
normalizations are seeded. Written after the papers and torchvision's layer order and padding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own habit)
from torch import Tensor, nn

Made = tuple[nn.Module, tuple[Tensor, ...]]
NETWORKS: dict[str, Callable[[], Made]] = {}


def network(function: Callable[[], nn.Module | Made]) -> Callable[[], nn.Module | Made]:
    """Register a network; one that takes a 40x40 picture may return the module alone."""

    def made() -> Made:
        torch.manual_seed(5)
        given = function()
        module, inputs = (
            given if isinstance(given, tuple) else (given, (torch.randn(1, 3, 40, 40),))
        )
        for part in module.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 2)
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_(0, 0.3)
        return module.eval(), inputs

    NETWORKS[function.__name__] = made
    return function


def conv(i: int, o: int, kernel: int = 1, stride: int = 1, groups: int = 1, act=nn.ReLU):
    """Convolution, normalization, activation with torch's symmetric padding."""
    parts = [
        nn.Conv2d(i, o, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(o),
    ]
    return nn.Sequential(*parts, *([act()] if act else []))


class Residual(nn.Module):
    def __init__(self, body: nn.Module, skip: nn.Module | None = None, last=nn.Identity) -> None:
        super().__init__()
        self.body, self.skip, self.last = body, skip or nn.Identity(), last()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(x) + self.skip(x))


class Excitation(nn.Module):
    def __init__(self, channels: int, squeezed: int, inner=nn.ReLU, outer=nn.Hardsigmoid) -> None:
        super().__init__()
        self.reduce, self.expand = (
            nn.Conv2d(channels, squeezed, 1),
            nn.Conv2d(squeezed, channels, 1),
        )
        self.inner, self.outer = inner(), outer()

    def forward(self, x: Tensor) -> Tensor:
        gate = F.adaptive_avg_pool2d(x, 1)
        return x * self.outer(self.expand(self.inner(self.reduce(gate))))


class Head(nn.Module):
    """Global pool, flatten, classifier: written as torchvision does."""

    def __init__(self, channels: int, *, mean: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.mean = mean
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = x.mean([2, 3]) if self.mean else torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)
        return self.classifier(x)


def _basic(i: int, o: int, stride: int) -> nn.Module:
    skip = conv(i, o, 1, stride, act=None) if stride > 1 or i != o else None
    return Residual(nn.Sequential(conv(i, o, 3, stride), conv(o, o, 3, act=None)), skip, nn.ReLU)


@network
def resnet() -> nn.Module:
    blocks = [_basic(6, 6, 1), _basic(6, 8, 2), _basic(8, 12, 2)]
    return nn.Sequential(conv(3, 6, 7, 2), nn.MaxPool2d(3, 2, 1), *blocks, Head(12))


@network
def resnet_bottleneck() -> nn.Module:
    def block(i: int, o: int, stride: int) -> nn.Module:
        body = nn.Sequential(
            conv(i, o // 2), conv(o // 2, o // 2, 3, stride), conv(o // 2, o, act=None)
        )
        return Residual(body, conv(i, o, 1, stride, act=None), nn.ReLU)

    return nn.Sequential(conv(3, 8, 3, 2), block(8, 16, 1), block(16, 24, 2), Head(24))


@network
def resnext() -> nn.Module:
    body = nn.Sequential(conv(16, 16), conv(16, 16, 3, groups=4), conv(16, 16, act=None))
    return nn.Sequential(conv(3, 16, 3, 2), Residual(body, None, nn.ReLU), Head(16))


def _inverted(
    i: int, o: int, stride: int, expansion: int, kernel: int = 3, act=nn.ReLU6, gate=None
):
    width = i * expansion
    parts = [conv(i, width, act=act)] if expansion > 1 else []
    parts += [conv(width, width, kernel, stride, width, act)]
    parts += [gate(width)] if gate else []
    body = nn.Sequential(*parts, conv(width, o, act=None))
    return Residual(body) if stride == 1 and i == o else body


@network
def mobilenet_v2() -> nn.Module:
    rows = ((8, 6, 1, 1), (6, 8, 2, 6), (8, 8, 1, 6), (8, 10, 2, 6), (10, 10, 1, 6))
    blocks = [_inverted(*row) for row in rows]
    return nn.Sequential(
        conv(3, 8, 3, 2, act=nn.ReLU6), *blocks, conv(10, 32, act=nn.ReLU6), Head(32, dropout=0.2)
    )


@network
def mobilenet_v3() -> nn.Module:
    def gate(width: int) -> nn.Module:
        return Excitation(width, 8)

    blocks = [
        _inverted(8, 8, 2, 2, act=nn.ReLU, gate=gate),
        _inverted(8, 8, 2, 3, act=nn.ReLU),
        _inverted(8, 8, 1, 3, 5, nn.Hardswish, gate),
        _inverted(8, 10, 2, 3, 5, nn.Hardswish, gate),
        _inverted(10, 10, 1, 3, 5, nn.Hardswish, gate),
    ]
    classifier = nn.Sequential(nn.Linear(24, 32), nn.Hardswish(), nn.Dropout(), nn.Linear(32, 10))
    last = [conv(10, 24, act=nn.Hardswish), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), classifier]
    return nn.Sequential(conv(3, 8, 3, 2, act=nn.Hardswish), *blocks, *last)


@network
def efficientnet() -> nn.Module:
    def gate(width: int) -> nn.Module:
        return Excitation(width, 4, nn.SiLU, nn.Sigmoid)

    rows = ((8, 6, 1, 1, 3), (6, 8, 2, 4, 3), (8, 8, 1, 4, 3), (8, 10, 2, 4, 5), (10, 10, 1, 4, 5))
    blocks = [_inverted(*row, nn.SiLU, gate) for row in rows]
    return nn.Sequential(
        conv(3, 8, 3, 2, act=nn.SiLU), *blocks, conv(10, 32, act=nn.SiLU), Head(32)
    )


class _Dense(nn.Module):
    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(channels + i * growth),
                nn.ReLU(),
                nn.Conv2d(channels + i * growth, 2 * growth, 1, bias=False),
                nn.BatchNorm2d(2 * growth),
                nn.ReLU(),
                nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
            )
            for i in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for part in self.parts:
            features.append(part(torch.cat(features, 1)))
        return torch.cat(features, 1)


@network
def densenet() -> nn.Module:
    transition = nn.Sequential(
        nn.BatchNorm2d(20), nn.ReLU(), nn.Conv2d(20, 10, 1, bias=False), nn.AvgPool2d(2, 2)
    )
    stem = [conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(
        *stem,
        _Dense(8, 4, 3),
        transition,
        _Dense(10, 4, 2),
        nn.BatchNorm2d(18),
        nn.ReLU(),
        Head(18),
    )


class _Shuffle(nn.Module):
    """ShuffleNetV2's block, with torchvision's view, transpose and reshape."""

    def __init__(self, i: int, o: int, stride: int) -> None:
        super().__init__()
        self.stride, half = stride, o // 2
        self.left = nn.Sequential(conv(i, i, 3, stride, i, None), conv(i, half))
        source = i if stride > 1 else half
        self.right = nn.Sequential(
            conv(source, half), conv(half, half, 3, stride, half, None), conv(half, half)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            a, b = x.chunk(2, dim=1)
            x = torch.cat((a, self.right(b)), dim=1)
        else:
            x = torch.cat((self.left(x), self.right(x)), dim=1)
        n, c, h, w = x.size()
        return torch.transpose(x.view(n, 2, c // 2, h, w), 1, 2).contiguous().view(n, c, h, w)


@network
def shufflenet_v2() -> nn.Module:
    blocks = [_Shuffle(8, 16, 2), _Shuffle(16, 16, 1), _Shuffle(16, 24, 2), _Shuffle(24, 24, 1)]
    return nn.Sequential(conv(3, 8, 3, 2), nn.MaxPool2d(3, 2, 1), *blocks, Head(24, mean=True))


class _Fire(nn.Module):
    def __init__(self, i: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(i, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


@network
def squeezenet() -> nn.Module:
    pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    last = [
        nn.Dropout(),
        nn.Conv2d(24, 10, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(1),
    ]
    fires = [_Fire(8, 4, 8), _Fire(16, 4, 8), pool, _Fire(16, 6, 12)]
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), pool, *fires, *last)


class _Inception(nn.Module):
    def __init__(self, i: int) -> None:
        super().__init__()
        pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), conv(i, 4))
        self.branches = nn.ModuleList(
            [conv(i, 6), nn.Sequential(conv(i, 4), conv(4, 8, 3)), conv(i, 4, 5), pooled]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


@network
def googlenet() -> nn.Module:
    parts = [_Inception(8), _Inception(22), nn.MaxPool2d(2, 2, ceil_mode=True)]
    return nn.Sequential(conv(3, 8, 7, 2), nn.MaxPool2d(3, 2, ceil_mode=True), *parts, Head(22))


@network
def inception_pools() -> nn.Module:
    """InceptionV3's average pools, padded and counting the padding."""
    x = [conv(3, 8, 3, 2), nn.AvgPool2d(3, 1, 1), conv(8, 8), nn.AvgPool2d(3, 2, 1)]
    x += [nn.AvgPool2d(3, 1, 1, count_include_pad=False)]
    return nn.Sequential(*x, nn.AvgPool2d(3, 2, ceil_mode=True), Head(8))


@network
def vgg() -> nn.Module:
    features = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2, 2)),
        *(nn.Conv2d(8, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
    )
    dense = [nn.Linear(6 * 5 * 5, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 10)]
    return nn.Sequential(features, nn.AdaptiveAvgPool2d((5, 5)), nn.Flatten(), *dense)


@network
def lenet_softmax() -> Made:
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2), nn.Conv2d(6, 8, 5)]
    dense = [nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(200, 10), nn.Softmax(1)]
    return nn.Sequential(*features, *dense), (torch.randn(1, 1, 28, 28),)


class _Ghost(nn.Module):
    """GhostNet: half of the features from the other half, cut to the wanted width."""

    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.width, half = o, (o + 1) // 2
        self.first, self.cheap = conv(i, half), conv(half, half, 3, groups=half)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return torch.cat([x, self.cheap(x)], 1)[:, : self.width]


@network
def ghostnet() -> nn.Module:
    return nn.Sequential(
        conv(3, 8, 3, 2), _Ghost(8, 12), _Ghost(12, 16), Excitation(16, 4), Head(16)
    )


@network
def ghostnet_odd() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), _Ghost(8, 13), Head(13))


class _RepVgg(nn.Module):
    """RepVGG before its branches are merged: 3x3 + 1x1 + identity, each normalized."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.three, self.one = (
            conv(channels, channels, 3, act=None),
            conv(channels, channels, act=None),
        )
        self.identity = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.three(x) + self.one(x) + self.identity(x))


@network
def repvgg() -> nn.Module:
    return nn.Sequential(conv(3, 8, 3, 2), _RepVgg(8), _RepVgg(8), Head(8))


@network
def regnet() -> nn.Module:
    body = nn.Sequential(
        conv(8, 16),
        conv(16, 16, 3, 2, 2),
        Excitation(16, 4, outer=nn.Sigmoid),
        conv(16, 16, act=None),
    )
    return nn.Sequential(
        conv(3, 8, 3, 2), Residual(body, conv(8, 16, 1, 2, act=None), nn.ReLU), Head(16)
    )


@network
def convmixer() -> nn.Module:
    def block() -> nn.Module:
        wide = nn.Sequential(
            nn.Conv2d(8, 8, 5, groups=8, padding="same"), nn.ReLU(), nn.BatchNorm2d(8)
        )
        return nn.Sequential(Residual(wide), nn.Conv2d(8, 8, 1), nn.ReLU(), nn.BatchNorm2d(8))

    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 5), nn.ReLU(), nn.BatchNorm2d(8), block(), block(), Head(8)
    )


@network
def convnext() -> nn.Module:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.dense = nn.LayerNorm(8), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    return nn.Sequential(conv(3, 8, 4, 4), Residual(Last()), nn.GELU(), Head(8))


@network
def vision_transformer() -> nn.Module:
    class Tokens(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(2).transpose(1, 2)

    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return nn.Sequential(nn.Conv2d(3, 16, 8, 8), Tokens(), layer, nn.Flatten(), nn.Linear(400, 10))
