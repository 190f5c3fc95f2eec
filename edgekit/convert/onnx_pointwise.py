"""ONNX ops that keep the shape: activations, arithmetic, normalization, casts.

What TFLite's common targets lack is written in what they have: every clip is an affine map into
[0, 6], RELU6, and the map back (TFLM lacks RELU_0_TO_1, MINIMUM and MAXIMUM on constants);
`graph.passes` then folds the maps into their neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

import numpy as np

from edgekit.convert.onnx_call import Call
from edgekit.convert.onnx_layout import Shape, Values, View
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops

Converter = Callable[[Call], list[View]]
# Exporters write clips without a bound with the largest float. No activation that int8 can hold
# gets there, and an affine map from there into [0, 6] would round everything else away.
_UNREACHED = 2.0**20


def same(call: Call) -> list[View]:
    """Identity and Dropout: the input itself."""
    if call.number("training_mode", 2, 0.0):
        raise UnsupportedError("is in training mode; export the model in evaluation mode")
    return [call.view(0)]


def cast(call: Call) -> list[View]:
    """Cast of float32 to float32."""
    if call.attribute("to", 0) != 1:
        raise UnsupportedError("casts a computed tensor; edgekit reads float32 models")
    return [call.view(0)]


def unary(op: ops.Op) -> Converter:
    """The converter of an ONNX op that is one TFLite op in any layout."""

    def convert(call: Call) -> list[View]:
        return [_emit(call, op, call.view(0), call.output)]

    return convert


def clip(call: Call) -> list[View]:
    """Clip."""
    low, high = call.number("min", 1, -inf), call.number("max", 2, inf)
    return [_clipped(call, call.view(0), low, high)]


def maximum(call: Call) -> list[View]:
    """Max of a computed tensor and a constant: a clip from below."""
    index, bound = _one_bound(call)
    return [_clipped(call, call.view(index), bound, inf)]


def minimum(call: Call) -> list[View]:
    """Min of a computed tensor and a constant: a clip from above."""
    index, bound = _one_bound(call)
    return [_clipped(call, call.view(index), -inf, bound)]


def hard_sigmoid(call: Call) -> list[View]:
    """HardSigmoid: clip(alpha * x + beta, 0, 1) = relu6(6 * alpha * x + 6 * beta) / 6."""
    alpha, beta = float(call.attribute("alpha", 0.2)), float(call.attribute("beta", 0.5))
    lifted = _affine(call, call.view(0), 6 * alpha, 6 * beta, "lifted")
    clipped = _emit(call, ops.Relu6(), lifted, f"{call.output}/relu6")
    return [_affine(call, clipped, 1 / 6, 0.0, "")]


def batch_normalization(call: Call) -> list[View]:
    """BatchNormalization in evaluation mode: a product and a sum for each channel."""
    source = call.view(0)
    if call.flag("training_mode") or len([name for name in call.node.outputs if name]) > 1:
        raise UnsupportedError("is in training mode; export the model in evaluation mode")
    parts = [call.constant(i, "statistics").astype(np.float64) for i in range(1, 5)]
    channels = source.dims[1] if len(source.axes) > 1 else 0
    if any(part.shape != (channels,) for part in parts):
        raise InputError(f"its statistics do not fit {channels} channels")
    gamma, beta, mean, variance = parts
    variance = variance + float(call.attribute("epsilon", 1e-5))
    if not (variance > 0).all():
        raise InputError("its variance is not positive")
    scale = gamma / np.sqrt(variance)
    column = (channels,) + (1,) * (len(source.axes) - 2)
    scaled = _with_constant(call, ops.Mul(), source, scale.reshape(column), "scaled")
    return [_with_constant(call, ops.Add(), scaled, (beta - mean * scale).reshape(column), "")]


def add(call: Call) -> list[View]:
    """Add."""
    return [_binary(call, ops.Add(), lambda values: values)]


def mul(call: Call) -> list[View]:
    """Mul."""
    return [_binary(call, ops.Mul(), lambda values: values)]


def sub(call: Call) -> list[View]:
    """Sub; a constant is added negated, or added to the negated tensor."""
    if call.is_constant(1):
        return [_binary(call, ops.Add(), np.negative)]
    if call.is_constant(0):
        negated = _affine(call, call.view(1), -1.0, 0.0, "negated")
        return [_with_constant(call, ops.Add(), negated, _operand(call, 0), "")]
    return [_binary(call, ops.Sub(), lambda values: values)]


def div(call: Call) -> list[View]:
    """Div by a constant: a product with its reciprocal."""
    if not call.is_constant(1):
        raise UnsupportedError("divides by a computed tensor; only constants are supported")
    if not np.all(call.constant(1, "divisor")):
        raise InputError("divides by zero")
    return [_binary(call, ops.Mul(), lambda values: 1.0 / values.astype(np.float64))]


def scaler(call: Call) -> list[View]:
    """Scaler of ai.onnx.ml, which scikit-learn's StandardScaler becomes: (x - offset) * scale."""
    source = call.view(0)
    offset, scale = (
        np.array(call.attribute(name, (default,)), np.float32)
        for name, default in (("offset", 0.0), ("scale", 1.0))
    )
    shifted = _with_constant(call, ops.Add(), source, -offset, "shifted")
    return [_with_constant(call, ops.Mul(), shifted, scale, "")]


def neg(call: Call) -> list[View]:
    """Neg."""
    return [_affine(call, call.view(0), -1.0, 0.0, "")]


def _emit(call: Call, op: ops.Op, source: View, name: str) -> View:
    made = call.builder.emit(op, [source.tensor], name)
    return source.of(made.tensor, made.shape)


def _name(call: Call, part: str) -> str:
    return f"{call.output}/{part}" if part else call.output


def _one_bound(call: Call) -> tuple[int, float]:
    """Which input is computed, and the number it is compared with."""
    index = 1 if call.is_constant(0) else 0
    if len(call.node.inputs) != 2 or not call.is_constant(1 - index):
        raise UnsupportedError("compares computed tensors; only one with a constant is supported")
    return index, call.number("", 1 - index, 0.0)


def _affine(call: Call, source: View, factor: float, offset: float, part: str) -> View:
    """factor * source + offset, without the half that changes nothing."""
    last = "scaled" if offset != 0 and not part else part
    if abs(factor - 1) > 1e-6:  # 6 * float32(1/6) is meant to be 1
        source = _with_constant(call, ops.Mul(), source, np.array(factor), last)
    if offset != 0:
        source = _with_constant(call, ops.Add(), source, np.array(offset), part)
    return source


def _clipped(call: Call, source: View, low: float, high: float) -> View:
    """min(max(source, low), high) by way of RELU or RELU6."""
    low = -inf if low <= -_UNREACHED else low
    high = inf if high >= _UNREACHED else high
    if not low < high:
        raise InputError(f"its bounds {low} and {high} are not in order")
    if low == -inf and high == inf:
        return source
    if high == inf:
        shifted = _affine(call, source, 1.0, -low, "shifted")
        clipped = _emit(call, ops.Relu(), shifted, _name(call, "relu" if low else ""))
        return _affine(call, clipped, 1.0, low, "")
    before = call.builder.writer(source.tensor)
    if before is not None and isinstance(before.op, ops.Relu) and high > 0:
        low = max(low, 0.0)  # nothing is below, with or without the Relu
        source = source.of(before.inputs[0], source.shape)
    if low == -inf:
        mirrored = _affine(call, source, -1.0, high, "mirrored")
        clipped = _emit(call, ops.Relu(), mirrored, _name(call, "relu"))
        return _affine(call, clipped, -1.0, high, "")
    gain = 6 / (high - low)
    lifted = _affine(call, source, gain, -low * gain, "lifted")
    exact = (low, high) == (0, 6)
    clipped = _emit(call, ops.Relu6(), lifted, _name(call, "" if exact else "relu6"))
    return _affine(call, clipped, 1 / gain, low, "")


def _binary(call: Call, op: ops.Op, change: Callable[[Values], Values]) -> View:
    """An elementwise op on two inputs, with `change` applied to a constant one."""
    if len(call.node.inputs) != 2:
        raise InputError("needs two inputs")
    for index in (0, 1):
        if call.is_constant(index):
            values = change(_operand(call, index))
            return _with_constant(call, op, call.view(1 - index), values, "")
    left, right = _aligned(call, call.view(0), call.view(1))
    made = call.builder.emit(op, [left.tensor, right.tensor], call.output)
    axes = left.axes if prod(left.shape) >= prod(right.shape) else right.axes
    return View(made.tensor, made.shape, axes)


def _operand(call: Call, index: int) -> Values:
    """A constant operand, of the type of the computed one."""
    values = call.constant(index, "constant")
    if values.dtype != np.float32:
        raise InputError(f"its operands are float32 and {values.dtype}, which do not mix")
    return values


def _with_constant(call: Call, op: ops.Op, source: View, values: Values, part: str) -> View:
    """op(source, values) with ONNX's broadcasting."""
    rank = max(len(source.axes), values.ndim)
    source = source.widened(rank)
    wide = (1,) * (rank - values.ndim) + values.shape
    _check_broadcast(source.dims, wide)
    if any(size == 1 < other for size, other in zip(source.dims, wide, strict=True)):
        source = call.builder.standard(source)
        spread = values.reshape(wide).transpose(np.argsort([g[0] for g in source.axes]))
    else:
        spread = source.spread(values)
    name = _name(call, part)
    constant = call.builder.add_constant(f"{name}/constant", spread.astype(np.float64))
    made = call.builder.emit(op, [source.tensor, constant], name)
    return source.of(made.tensor, made.shape)


def _check_broadcast(a: Shape, b: Shape) -> None:
    if any(x != y and 1 not in (x, y) for x, y in zip(a, b, strict=True)):
        raise InputError(f"its operands {list(a)} and {list(b)} do not broadcast")


def _aligned(call: Call, left: View, right: View) -> tuple[View, View]:
    """Both with the same arrangement of axes, so that TFLite's broadcasting is ONNX's.

    The larger one stays as it is and the other follows, unless each is broadcast.
    """
    rank = max(len(left.axes), len(right.axes))
    left, right = left.widened(rank), right.widened(rank)
    _check_broadcast(left.dims, right.dims)
    if prod(right.dims) > prod(left.dims):
        right, left = _aligned(call, right, left)
        return left, right
    followed = _followed(call, left, right)
    if followed is not None:
        return left, followed
    return call.builder.standard(left), call.builder.standard(right)


def _followed(call: Call, lead: View, other: View) -> View | None:
    """`other` arranged like `lead`; None if its axes are made up differently."""
    partner: dict[int, int] = {}
    for i, size in enumerate(other.dims):
        mine, theirs = lead.factors(i), other.factors(i)
        if size == 1:
            continue
        if [lead.shape[axis] for axis in mine] != [other.shape[axis] for axis in theirs]:
            return None
        partner.update(zip(mine, theirs, strict=True))
    shape = tuple(
        other.shape[partner[axis]] if axis in partner else 1 for axis in range(len(lead.shape))
    )
    placed = call.builder.placed(other, [partner[axis] for axis in sorted(partner)], shape)
    return lead.of(placed.tensor, shape)
