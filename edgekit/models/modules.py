"""The modules torch does not bring: TFLite's SAME padding, and the ways layers are joined.

None of them has parameters or state of its own, so state-dict keys are those of what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from edgekit.graph.passes.pads import same_padding


def _padded(x: Any, kernel: int, stride: int, value: float) -> Any:
    """(N, C, H, W) with the rows and columns around it that SAME reads."""
    # int(): while the ONNX exporter traces, a size is a tensor; it must become constant.
    (top, bottom), (left, right) = (
        same_padding(int(size), kernel, stride, 1) for size in x.shape[2:]
    )
    return functional.pad(x, (left, right, top, bottom), value=value)


class SameConv2d(nn.Conv2d):
    """A strided square convolution padded as TFLite's SAME: the odd row and column at the end.

    The padding depends on the size of the image, so it is computed at each call.
    """

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        return super().forward(_padded(x, self.kernel_size[0], self.stride[0], 0.0))


class SameMaxPool2d(nn.MaxPool2d):
    """A square max pool padded as TFLite's SAME; what lies outside is never the maximum."""

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))."""
        return super().forward(_padded(x, int(self.kernel_size), int(self.stride), -torch.inf))


class ResidualBlock(nn.Module):
    """after(body(before(x)) + shortcut), see `blocks.Residual`.

    Args:
        parts: the layers by name, in state-dict order.
        before, body, shortcut, after: names of the layers on each way.
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module],
        before: tuple[str, ...],
        body: tuple[str, ...],
        shortcut: tuple[str, ...],
        after: tuple[str, ...],
    ) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._before, self._body, self._shortcut, self._after = before, body, shortcut, after

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, out, H', W')."""
        started = self._along(self._before, x)
        past = self._along(self._shortcut, started) if self._shortcut else x
        return self._along(self._after, self._along(self._body, started) + past)

    def _along(self, names: tuple[str, ...], x: Any) -> Any:
        for name in names:
            x = getattr(self, name)(x)
        return x


class GateBlock(nn.Sequential):
    """x * gate(x), see `blocks.Gate`."""

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> the same."""
        return x * super().forward(x)


class JoinedBlock(nn.Sequential):
    """x and body(x) side by side, see `blocks.Joined`."""

    def forward(self, x: Any) -> Any:
        """(N, C, H, W) -> (N, C + growth, H, W)."""
        return torch.cat([x, super().forward(x)], 1)
