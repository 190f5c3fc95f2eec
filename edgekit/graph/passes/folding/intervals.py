"""Which values each element of a network can have, whatever enters it.

An int8 graph enters; an `Interval` an activation leaves: the least and the greatest value of every
element, over all inputs. Bounds go through each op by the op's own definition in `reference`, so
roundings, clamps and padding are those of the kernels. Where a definition is not known to be
monotone, or its 32-bit sums could overflow, the bounds are those of the type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph import ops
from edgekit.graph.fixedpoint import quantize_multiplier
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.elementwise import product_factor
from edgekit.graph.reference.layer import integer_terms
from edgekit.graph.reference.reduction import mean_multiplier, reduced_axes

# Sums below this, left shift included, pass through every step of a rescaling without wrapping.
_NO_OVERFLOW = 2.0**30


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds of a tensor, element by element.

    Attributes:
        low, high: of the tensor's type and shape; reached or not, never passed.
    """

    low: Values
    high: Values

    @property
    def is_fixed(self) -> bool:
        """Whether no element ever changes."""
        return np.array_equal(self.low, self.high)

    def channels(self) -> tuple[npt.NDArray[np.bool_], Values]:
        """For each index of the last axis: has it one value at all positions; which is the least.

        A tensor without dimensions is one channel.
        """
        count = self.low.shape[-1] if self.low.ndim else 1
        low = self.low.reshape(-1, count).min(axis=0)
        return low == self.high.reshape(-1, count).max(axis=0), low


Bounds = Mapping[str, Interval]
_Rule = Callable[[Any, Call, Sequence[Interval]], Interval]


def bounds_of(graph: Graph) -> Bounds:
    """The interval of every int8 activation and of every constant, by name.

    Raises:
        UnsupportedError: a node has no definition for its types and quantizations.
    """
    known = {t.name: Interval(t.data, t.data) for t in graph.constants() if t.data is not None}
    for name in graph.inputs:
        if graph.tensors[name].dtype is DType.INT8:
            known[name] = _any_value(graph.tensors[name])
    for node in graph.nodes:
        inputs, outputs = graph.inputs_of(node), graph.outputs_of(node)
        for position, output in enumerate(outputs):
            if output.dtype is DType.INT8:
                before = [known.get(tensor.name) for tensor in inputs]
                known[output.name] = _interval(node, inputs, outputs, before, position)
    return known


def _any_value(tensor: Tensor) -> Interval:
    low, high = tensor.dtype.limits
    full = (np.full(tensor.shape, bound, tensor.dtype.numpy) for bound in (low, high))
    return Interval(*full)


def _interval(
    node: Node,
    inputs: tuple[Tensor, ...],
    outputs: tuple[Tensor, ...],
    before: Sequence[Interval | None],
    position: int,
) -> Interval:
    """Of one output of a node."""
    rule = _RULES.get(type(node.op))
    bounds = [one for one in before if one is not None]
    data = inputs[1 if isinstance(node.op, ops.Split) else 0]
    if len(bounds) < len(before) or data.dtype is not DType.INT8:
        return _any_value(outputs[position])
    call = Call(node, inputs, outputs, tuple(one.low for one in bounds))
    if all(one.is_fixed for one in bounds):
        value = evaluate(call)[position]
        return Interval(value, value)
    if isinstance(node.op, ops.Split):
        low, high = evaluate(call), evaluate(_at(call, *(one.high for one in bounds)))
        return Interval(low[position], high[position])
    return rule(node.op, call, bounds) if rule else _any_value(outputs[position])


def _at(call: Call, *values: Values) -> Call:
    return replace(call, values=values)


def _value(call: Call) -> Values:
    return evaluate(call)[0]


def _rising(op: ops.Op, call: Call, bounds: Sequence[Interval]) -> Interval:
    """An op that never falls in any operand."""
    return Interval(
        _value(_at(call, *(one.low for one in bounds))),
        _value(_at(call, *(one.high for one in bounds))),
    )


def _difference(op: ops.Sub, call: Call, bounds: Sequence[Interval]) -> Interval:
    a, b = bounds
    return Interval(_value(_at(call, a.low, b.high)), _value(_at(call, a.high, b.low)))


def _product(op: ops.Mul, call: Call, bounds: Sequence[Interval]) -> Interval:
    """A product is least and greatest at ends of its operands."""
    if _overflows(255.0**2, *quantize_multiplier(product_factor(call))):
        return _any_value(call.output)
    a, b = bounds
    ends = [_value(_at(call, x, y)) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Interval(np.minimum.reduce(ends), np.maximum.reduce(ends))


def _mean(op: ops.Mean, call: Call, bounds: Sequence[Interval]) -> Interval:
    shape = call.inputs[0].shape
    count = int(np.prod([shape[axis] for axis in reduced_axes(call)], dtype=np.int64))
    if _overflows(255.0 * count, *mean_multiplier(call, count)):
        return _any_value(call.output)
    return _rising(op, call, bounds)


def _look_up(op: ops.Op, call: Call, bounds: Sequence[Interval]) -> Interval:
    """A function of one value: its extremes over each pair of bounds that occurs."""
    every = np.arange(-128, 128).astype(np.int8)
    as_row = replace(call.output, shape=every.shape)
    source = replace(call.inputs[0], shape=every.shape)
    table = _value(replace(call, inputs=(source,), outputs=(as_row,), values=(every,)))
    (x,) = bounds
    pairs = np.stack([x.low.reshape(-1), x.high.reshape(-1)], axis=1).astype(np.int64) + 128
    found, which = np.unique(pairs, axis=0, return_inverse=True)
    reached = [table[first : last + 1] for first, last in found]
    low, high = (
        np.array([end(values) for values in reached], table.dtype)[which.reshape(-1)]
        for end in (np.min, np.max)
    )
    return Interval(low.reshape(call.output.shape), high.reshape(call.output.shape))


def _overflows(largest: float, multiplier: int, shift: int) -> bool:
    """Whether rescaling a sum of this size might wrap."""
    return largest * 2.0 ** max(shift, 0) >= _NO_OVERFLOW


def _conv(op: ops.Conv2D, call: Call, bounds: Sequence[Interval]) -> Interval:
    """Positive weights at one end, negative ones at the other: a convolution of twice the depth."""
    x, depth = bounds[0], call.inputs[1].shape[-1]
    groups = call.inputs[0].shape[-1] // depth

    def joined(first: Values, second: Values) -> Values:
        parts = [end.reshape(*end.shape[:-1], groups, depth) for end in (first, second)]
        return np.concatenate(parts, axis=-1).reshape(*x.low.shape[:-1], -1)

    return _sums(call, joined(x.low, x.high), joined(x.high, x.low))


def _depthwise(op: ops.DepthwiseConv2D, call: Call, bounds: Sequence[Interval]) -> Interval:
    """As a convolution with one group a channel."""
    weights = call.inputs[1]
    quantization = weights.quantization
    assert weights.data is not None and quantization is not None
    data = np.ascontiguousarray(weights.data.transpose(3, 1, 2, 0))
    by_output = Quantization(quantization.scales, quantization.zero_points, axis=0)
    conv = ops.Conv2D(op.stride, op.dilation, op.padding, op.activation)
    inputs = (call.inputs[0], Tensor.constant(weights.name, data, by_output), *call.inputs[2:])
    values = (call.values[0], data, *call.values[2:])
    grouped = replace(call, node=replace(call.node, op=conv), inputs=inputs, values=values)
    return _conv(conv, grouped, bounds)


def _dense(op: ops.FullyConnected, call: Call, bounds: Sequence[Interval]) -> Interval:
    x, count = bounds[0], call.inputs[1].shape[1]
    low, high = x.low.reshape(-1, count), x.high.reshape(-1, count)
    flat = replace(op, keep_dims=False)
    rows = replace(call, node=replace(call.node, op=flat))
    found = _sums(rows, np.hstack([low, high]), np.hstack([high, low]))
    shape = call.output.shape
    return Interval(found.low.reshape(shape), found.high.reshape(shape))


def _sums(call: Call, low: Values, high: Values) -> Interval:
    """The bounds of a product with its positive weights in front of its negative ones.

    Args:
        low, high: the inputs with which the sums are least and greatest.
    """
    weights, activation = call.inputs[1], call.node.op.activation  # type: ignore[attr-defined]
    assert weights.data is not None
    terms = integer_terms(call, activation, channel_axis=0)
    zero = np.int8(terms.weight_zero_point)
    halves = np.maximum(weights.data, zero), np.minimum(weights.data, zero)
    doubled = np.concatenate(halves, axis=-1)
    found = Interval(*(_product_of(call, x, doubled) for x in (low, high)))
    size = np.abs(weights.data.astype(np.float64) - terms.weight_zero_point)
    spread = size.reshape(len(size), -1).sum(axis=1) * 128
    raised = (spread + np.abs(terms.bias)) * 2.0 ** np.maximum(terms.shift, 0)
    wraps = (raised >= _NO_OVERFLOW) & (spread > 0)  # one sum alone gives one value in any case
    limits = DType.INT8.limits
    found.low[..., wraps], found.high[..., wraps] = limits
    return found


def _product_of(call: Call, x: Values, weights: Values) -> Values:
    source = replace(call.inputs[0], shape=x.shape)
    own = Tensor.constant(call.inputs[1].name, weights, call.inputs[1].quantization)
    inputs, values = (source, own, *call.inputs[2:]), (x, weights, *call.values[2:])
    return _value(replace(call, inputs=inputs, values=values))


_RULES: Mapping[type[ops.Op], _Rule] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
    ops.FullyConnected: _dense,
    ops.AveragePool2D: _rising,
    ops.MaxPool2D: _rising,
    ops.Mean: _mean,
    ops.Add: _rising,
    ops.Sub: _difference,
    ops.Mul: _product,
    ops.Concatenation: _rising,
    ops.Pad: _rising,
    ops.PadV2: _rising,
    ops.Logistic: _look_up,
    ops.HardSwish: _look_up,
    ops.Relu: _look_up,
    ops.Relu6: _look_up,
    ops.Quantize: _look_up,
    ops.Reshape: _rising,
    ops.Squeeze: _rising,
    ops.ExpandDims: _rising,
    ops.Transpose: _rising,
}
