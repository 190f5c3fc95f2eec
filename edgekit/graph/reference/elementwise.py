"""Add, Sub and Mul with broadcasting.

Sources of the integer arithmetic: tensorflow/lite/kernels/internal/reference/integer_ops/add.h and
mul.h, reference/sub.h; the multipliers: tensorflow/lite/micro/kernels/{add,sub,mul}_common.cc.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import (
    Integers,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from edgekit.graph.ops import Activation, Add, Mul, Sub
from edgekit.graph.reference.call import Call, Values
from edgekit.graph.reference.layer import float_range
from edgekit.graph.reference.rescale import Requantize

# Both operands are raised by 2^20 before they are brought to a common scale: 9 bits become 29.
_LEFT_SHIFT = 20


def add(op: Add, call: Call) -> Values:
    """a, b -> a + b, broadcast."""
    if call.is_float:
        return _clamped(call.values[0] + call.values[1], op.activation)
    return _sum(op.activation, call, sum_factors(op, call), sign=1)


def sum_factors(op: Add | Sub, call: Call) -> tuple[float, float, float]:
    """The factors of the first operand, the second, and their sum.

    Sub's kernel rounds them to float32, Add's does not.

    Raises:
        UnsupportedError: a factor that TFLite Micro does not compute with.
    """
    first, second, scale = _scales(call)
    if isinstance(op, Sub):
        a, b, single = np.float32(first), np.float32(second), np.float32(scale)
        twice = np.float32(2) * max(a, b)
        last = twice / (np.float32(1 << _LEFT_SHIFT) * single)
        factors = float(a / twice), float(b / twice), float(last)
    else:
        doubled = 2 * max(first, second)
        factors = first / doubled, second / doubled, doubled / ((1 << _LEFT_SHIFT) * scale)
    if factors[2] >= 1:
        raise call.refuse(f"needs an output scale above {scale * factors[2]:g}")
    return factors


def sub(op: Sub, call: Call) -> Values:
    """a, b -> a - b, broadcast."""
    if call.is_float:
        return _clamped(call.values[0] - call.values[1], op.activation)
    return _sum(op.activation, call, sum_factors(op, call), sign=-1)


def mul(op: Mul, call: Call) -> Values:
    """a, b -> a * b, broadcast."""
    if call.is_float:
        return _clamped(call.values[0] * call.values[1], op.activation)
    scale, zero_point = call.per_tensor(call.output)
    low, high = activation_range(op.activation, scale, zero_point, call.output_type)
    a, b = (_centred(call, index).astype(np.float32) for index in (0, 1))
    # |a|, |b| <= 255: products are below 2^24, so float32 holds them exactly.
    products = np.ascontiguousarray(a * b)
    multiplier, shift = quantize_multiplier(product_factor(call))
    finish = Requantize(
        bias=np.zeros(1, np.int64),
        multiplier=np.array([multiplier]),
        shift=np.array([shift]),
        zero_point=zero_point,
        low=low,
        high=high,
        largest=np.array([255.0**2]),
    )
    out = np.empty(products.shape, call.output_type)
    finish(products, out)
    return out


def product_factor(call: Call) -> float:
    """What a product of two 8-bit operands is multiplied by."""
    first, second, scale = _scales(call)
    return first * second / scale


def _sum(
    activation: Activation, call: Call, factors: tuple[float, float, float], sign: int
) -> Values:
    """Both operands on the scale of half the larger one, added, brought to the output's scale.

    Args:
        factors: of the first operand, the second, and their sum.
    """
    scale, zero_point = call.per_tensor(call.output)
    low, high = activation_range(activation, scale, zero_point, call.output_type)
    a = _raised(_centred(call, 0), factors[0])
    b = _raised(_centred(call, 1), factors[1])
    total = multiply_by_quantized_multiplier(a + sign * b, *quantize_multiplier(factors[2]))
    return np.clip(total + zero_point, low, high).astype(call.output_type)


def _raised(operand: Integers, factor: float) -> Integers:
    return multiply_by_quantized_multiplier(operand << _LEFT_SHIFT, *quantize_multiplier(factor))


def _centred(call: Call, index: int) -> Integers:
    """An operand less its zero point."""
    return call.values[index].astype(np.int64) - call.per_tensor(call.inputs[index])[1]


def _scales(call: Call) -> tuple[float, float, float]:
    """The scales of both operands and the output, which must be of one 8-bit type."""
    call.require_8_bit()
    if call.inputs[0].dtype is not call.inputs[1].dtype:
        raise call.refuse("needs operands of one type")
    first, second, output = (*call.inputs, call.output)
    return call.per_tensor(first)[0], call.per_tensor(second)[0], call.per_tensor(output)[0]


def _clamped(x: Values, activation: Activation) -> Values:
    low, high = float_range(activation)
    return np.clip(x, np.float32(low), np.float32(high))
