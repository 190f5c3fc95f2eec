"""A layer with int8 weights that can be trained: its integers exactly, gradients straight through.

A node of an integer graph enters; activations in integer steps (float32, as they lie in memory)
enter `forward` and leave it as the exported layer computes them, to the bit. Trained are the
weights, in steps of their own scale, and a shift of each channel, in steps of the output; both are
rounded before they are used, and rounding has the gradient of not rounding (Bengio et al. 2013,
arXiv:1308.3432). Scales stay as they are. Sums never leave 32 bits: the bias keeps within what the
weights leave of them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edgekit.compress.simulation import reals
from edgekit.graph import ir, ops
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.rescale import Requantize

WEIGHTED = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)

_LARGEST_STEP = 255  # |input - zero point|
_EXACT = 2**24  # float32 holds every integer up to here
_LARGEST_WEIGHT = 127.0
_ALMOST_HALF = 0.499


class Layer(nn.Module):
    """One trainable layer.

    Args:
        graph: the integer graph.
        node: one with constant weights and bias.
        origin: the float weights, in the same layout, which the integers are rounded from; where
            an integer is not their rounding, the nearest that rounds to it counts.

    Attributes:
        weights: (as the graph's) in steps; the integers are these, rounded.
        shift: (channels,) added to the bias, in steps of the output.
    """

    def __init__(self, graph: ir.Graph, node: ir.Node, origin: ir.Array | None = None) -> None:
        super().__init__()
        assert isinstance(node.op, WEIGHTED)
        self._graph, self._node, self._op = graph, node, node.op
        _, weights, bias = graph.inputs_of(node)
        assert weights.data is not None and bias.data is not None and weights.quantization
        self._axis = 3 if isinstance(node.op, ops.DepthwiseConv2D) else 0
        values = (np.empty(0), weights.data, bias.data)
        call = Call(node, graph.inputs_of(node), graph.outputs_of(node), values)
        self._terms = integer_terms(call, node.op.activation, self._axis)
        scale = np.ldexp(self._terms.multiplier.astype(np.float64), self._terms.shift - 31)
        self._bias = bias.data.astype(np.float64)
        self.register_buffer("factor", torch.from_numpy(scale.astype(np.float32)))
        self._factor = np.maximum(scale, 2.0**-31)
        start = _master(weights, origin, self._axis)
        self.register_buffer("start", start)
        self.weights = nn.Parameter(start.clone())
        self.shift = nn.Parameter(torch.zeros(len(self._bias)))

    def forward(self, x: Tensor) -> Tensor:
        """Integer steps (n, ...) -> integer steps (n, ...)."""
        rounded = _Rounded.apply(self.weights)
        exact = torch.float32 if float(self._reach().max()) < _EXACT else torch.float64
        centred = x - self._terms.input_zero_point
        sums = reals.products(self._op, centred.to(exact), rounded.to(exact))
        output: Tensor = _Finished.apply(sums, self.shift, self.factor, self._finish())
        return output.reshape(-1, *self._graph.outputs_of(self._node)[0].shape[1:])

    def constants(self) -> dict[str, ir.Tensor]:
        """The integer weights and bias as they are now, by the names they have in the graph."""
        _, weights, bias = self._graph.inputs_of(self._node)
        integers = _rounded(self.weights.detach()).numpy().astype(np.int8)
        return {
            weights.name: replace(weights, data=integers),
            bias.name: replace(bias, data=self._integer_bias().astype(np.int32)),
        }

    def keep_near(self, steps: float) -> None:
        """Bring weights back to within so many steps of where they began."""
        with torch.no_grad():
            low, high = self.start - steps, self.start + steps
            self.weights.clamp_(low, high)

    def _reach(self) -> npt.NDArray[np.float64]:
        """The largest sum of each channel, without bias."""
        magnitudes = _rounded(self.weights.detach()).abs()
        others = [i for i in range(magnitudes.dim()) if i != self._axis]
        total: npt.NDArray[np.float64] = magnitudes.sum(dim=others, dtype=torch.float64).numpy()
        return total * _LARGEST_STEP

    def _integer_bias(self) -> npt.NDArray[np.int64]:
        room = np.iinfo(np.int32).max - self._reach()
        steps = self._bias + self.shift.detach().numpy().astype(np.float64) / self._factor
        integers: npt.NDArray[np.int64] = np.clip(np.rint(steps), -room, room).astype(np.int64)
        return integers

    def _finish(self) -> Requantize:
        terms, bias = self._terms, self._integer_bias()
        return Requantize(
            bias=bias,
            multiplier=terms.multiplier,
            shift=terms.shift,
            zero_point=terms.zero_point,
            low=terms.low,
            high=terms.high,
            largest=self._reach() + np.abs(bias),
        )


def _master(weights: ir.Tensor, origin: ir.Array | None, axis: int) -> Tensor:
    """Weights in steps, float32, that round to the integers that are there."""
    assert weights.data is not None and weights.quantization is not None
    integers = weights.data.astype(np.float64)
    if origin is None:
        return torch.from_numpy(integers.astype(np.float32))
    shape = [1] * integers.ndim
    shape[axis] = -1
    scales = weights.quantization.scales.astype(np.float64)
    steps = origin.astype(np.float64) / scales.reshape(shape)
    near = np.clip(steps, integers - _ALMOST_HALF, integers + _ALMOST_HALF)
    return torch.from_numpy(near.astype(np.float32))


def _rounded(weights: Tensor) -> Tensor:
    return weights.round().clamp(-_LARGEST_WEIGHT, _LARGEST_WEIGHT)


class _Rounded(torch.autograd.Function):
    """Weights in steps -> whole steps; the gradient of the identity within int8."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor) -> Tensor:
        ctx.save_for_backward(weights)
        return _rounded(weights)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        return gradient * (weights.abs() <= _LARGEST_WEIGHT)


class _Finished(torch.autograd.Function):
    """Sums -> outputs, by the reference's arithmetic; the gradient of a line within the clamp."""

    @staticmethod
    def forward(
        ctx: Any, sums: Tensor, shift: Tensor, factor: Tensor, finish: Requantize
    ) -> Tensor:
        output = torch.from_numpy(_finished(sums.detach().numpy(), finish))
        ctx.save_for_backward(factor, output)
        ctx.limits, ctx.kind = finish.limits, sums.dtype
        return output.float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        factor, output = ctx.saved_tensors
        low, high = ctx.limits
        inner = gradient.masked_fill((output <= low) | (output >= high), 0)
        channels = inner.reshape(-1, len(factor)).sum(dim=0)
        return inner.mul_(factor).to(ctx.kind), channels, None, None


def _finished(sums: npt.NDArray[Any], finish: Requantize) -> npt.NDArray[np.int8]:
    """The outputs; as many parts of the batch at a time as torch uses threads."""
    steps = np.empty(sums.shape, np.int8)
    size = -(-len(sums) // torch.get_num_threads())
    parts = [slice(at, at + size) for at in range(0, len(sums), size)]
    if len(parts) == 1:
        finish(np.ascontiguousarray(sums), steps)
        return steps
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda p: finish(np.ascontiguousarray(sums[p]), steps[p]), parts))
    return steps
