"""Random small torch networks made of what classifiers are made of."""

from __future__ import annotations

import io
import random
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own habit)
from torch import Tensor, nn

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.Sigmoid)


class Apply(nn.Module):
    """A function of some modules and the input as a module."""

    def __init__(self, function: Callable[..., Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def shuffled(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def halves(x: Tensor, part: nn.Module) -> Tensor:
    a, b = x.chunk(2, 1)
    return torch.cat([part(b), a], 1)


def gated(x: Tensor, gate: nn.Module) -> Tensor:
    return x * F.hardsigmoid(gate(F.adaptive_avg_pool2d(x, 1)))


def conv(r: random.Random, c: int) -> nn.Module:
    kernel = r.choice((1, 2, 3, 5))
    dilation = r.choice((1, 1, 2))
    stride = r.choice((1, 2, 3)) if dilation == 1 else 1
    outputs = r.choice((2, 4, 6))
    padding = r.choice((0, 1, 2, kernel // 2))
    return nn.Conv2d(c, outputs, kernel, stride, padding, dilation, bias=r.random() < 0.5)


def norm(c: int) -> nn.Module:
    made = nn.BatchNorm2d(c)
    for tensor in (made.running_mean, made.weight.data, made.bias.data):
        tensor.normal_()
    made.running_var.uniform_(0.5, 2)
    return made


def pool(r: random.Random, kind: Callable[..., nn.Module], **more: Any) -> nn.Module:
    kernel, stride, padding = r.choice((2, 3)), r.choice((1, 2)), r.choice((0, 1))
    # With both, the exporter writes sizes that torch itself does not have.
    ceil = padding == 0 and r.random() < 0.5
    return kind(kernel, stride, padding, ceil_mode=ceil, **more)


def layer(r: random.Random, c: int) -> nn.Module:
    """One random layer for c (even) channels."""
    makers: list[Callable[[], nn.Module]] = [
        lambda: conv(r, c),
        lambda: nn.Sequential(conv(r, c)),
        lambda: nn.Conv2d(c, c * 2, 3, r.choice((1, 2)), 1, groups=c),
        lambda: nn.Conv2d(c, 4, 3, 1, 1, groups=2),
        lambda: norm(c),
        lambda: r.choice(ACTIVATIONS)(),
        lambda: pool(r, nn.MaxPool2d),
        lambda: pool(r, nn.AvgPool2d, count_include_pad=r.random() < 0.5),
        lambda: Apply(lambda x, part: F.relu(x + part(x)), nn.Conv2d(c, c, 3, 1, 1)),
        lambda: Apply(gated, nn.Conv2d(c, c, 1)),
        lambda: Apply(lambda x, part: torch.cat([part(x), x], 1), nn.Conv2d(c, 2, 1)),
        lambda: Apply(halves, nn.Conv2d(c // 2, c // 2, 1)),
        lambda: Apply(shuffled),
        lambda: Apply(lambda x: x * 1.5 - 0.25),
        lambda: Apply(lambda x: (0.5 - x) / 3),
        lambda: Apply(lambda x: x - x.mean((2, 3), keepdim=True)),
        lambda: nn.Hardtanh(*r.choice(((-1, 1), (0, 1), (-2, 3)))),
        lambda: nn.ZeroPad2d(tuple(r.randint(0, 2) for _ in range(4))),
    ]
    return r.choice(makers)()


def head(r: random.Random, shape: torch.Size) -> nn.Module:
    _, c, h, w = shape
    return r.choice(
        (
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(c, 5)),
            nn.Sequential(Apply(lambda x: x.mean((2, 3))), nn.Linear(c, 5)),
            nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(c * h * w, 5), nn.Softmax(1)),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, 5, 1), nn.Flatten()),
            nn.Sequential(nn.MaxPool2d((h, w)), nn.Flatten(), nn.Linear(c, 5)),
        )
    )


def network(seed: int) -> tuple[nn.Module, Tensor]:
    """A network in evaluation mode and an input for it."""
    torch.manual_seed(seed)
    r = random.Random(seed)
    size = r.choice((13, 16, 19, 20))
    x = torch.randn(1, r.choice((2, 4)), size, size)
    layers: list[nn.Module] = []
    state = x
    with torch.no_grad():
        for _ in range(r.randint(2, 7)):
            if min(state.shape[2:]) < 6:
                break
            layers.append(layer(r, state.shape[1]).eval())
            state = layers[-1](state)
        layers.append(head(r, state.shape))
    return nn.Sequential(*layers).eval(), x


def exported(module: nn.Module, x: Tensor, *, dynamo: bool = False, opset: int = 17) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            program = torch.onnx.export(module, (x,), dynamo=True, verbose=False)
            assert program is not None
            return bytes(program.model_proto.SerializeToString())
        buffer = io.BytesIO()
        torch.onnx.export(module, (x,), buffer, dynamo=False, opset_version=opset)
        return buffer.getvalue()
