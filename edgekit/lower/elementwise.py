"""Add, Sub, Mul, and every function of one 8-bit value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from edgekit.graph.fixedpoint import activation_range, quantize_multiplier
from edgekit.graph.ir import Array, DType, Tensor
from edgekit.graph.ops import Activation, Add, Mul, Op, Sub
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import EIGHT_BIT, Call
from edgekit.graph.reference.elementwise import product_factor, sum_factors
from edgekit.graph.reference.windows import Axis
from edgekit.lower.linear_form import LinearForm, linear_form
from edgekit.lower.program import Constant, Kernel, Step, Value
from edgekit.lower.strides import broadcast, padded
from edgekit.lower.unsigned import Rescale

_SHIFT = 4  # with which ek_add_once_s8 would move its sums to the top byte: it shifts by 20
_HEIGHT = 3  # the place of H in a padded shape (1, 1, N, H, W, C)


def add_or_sub(op: Add | Sub, call: Call) -> Step:
    """The step of an Add or a Sub."""
    return _add_once(op, call) or _add_broadcast(op, call)


def sum_form(op: Add | Sub, call: Call, shift: int | None = None) -> LinearForm | None:
    """One sum of products for an Add or a Sub of two int8 activations of one shape; None if not.

    It gives what TFLite's three roundings and its clamps give for every pair of values.
    """
    a, b = call.inputs
    if a.data is not None or b.data is not None or a.shape != b.shape:
        return None
    if any(tensor.dtype is not DType.INT8 for tensor in (a, b, call.output)):
        return None
    every = np.arange(-128, 128, dtype=np.int8)
    (outputs,) = evaluate(replace(call, values=(every[:, None], every[None, :])))
    first, second = (call.per_tensor(x)[0] / call.per_tensor(call.output)[0] for x in (a, b))
    ratios = (first, -second if isinstance(op, Sub) else second)
    return linear_form([every[:, None], every], outputs, ratios, shift)


def _add_once(op: Add | Sub, call: Call) -> Step | None:
    """The step by ek_add_once_s8, which clamps behind the sum."""
    a, b = call.inputs
    plain = replace(call.node, op=replace(op, activation=Activation.NONE))
    form = sum_form(op, replace(call, node=plain), _SHIFT)
    if form is None:
        return None
    first, second = form.factors
    low, high = activation_range(op.activation, *call.per_tensor(call.output), call.output_type)

    def of_elements(elements: int) -> Kernel:
        return Kernel(
            name="ek_add_once_s8",
            struct="ek_add_once",
            parameters={
                "elements": elements,
                "a_factor": first,
                "b_factor": second,
                "offset": form.offset,
                "output_min": low,
                "output_max": high,
            },
            operands=(a.name, b.name),
            outputs=call.node.outputs,
            overwrites=(0, 1),
        )

    return by_elements(call, of_elements)


def _add_broadcast(op: Add | Sub, call: Call) -> Step:
    first, second, last = map(quantize_multiplier, sum_factors(op, call))
    parameters: dict[str, Value] = {
        **_operands(call),
        "a_multiplier": first[0],
        "a_shift": first[1],
        "b_multiplier": second[0],
        "b_shift": second[1],
        "is_difference": int(isinstance(op, Sub)),
        "multiplier": last[0],
        "shift": last[1],
        **_output(op, call),
    }
    return _binary(call, "ek_add_s8", "ek_add", parameters)


def mul(op: Mul, call: Call) -> Step:
    """The step of a Mul."""
    multiplier, shift = quantize_multiplier(product_factor(call))
    parameters = {
        **_operands(call),
        "multiplier": multiplier,
        "shift": shift,
        **_output(op, call),
    }
    return _binary(call, "ek_mul_s8", "ek_mul", parameters)


def _operands(call: Call) -> dict[str, Value]:
    a, b = call.inputs
    if call.output.dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    shape = call.output.shape
    return {
        "a_strides": padded(broadcast(a.shape, shape), 0),
        "b_strides": padded(broadcast(b.shape, shape), 0),
        "a_zero_point": call.per_tensor(a)[1],
        "b_zero_point": call.per_tensor(b)[1],
    }


def _output(op: Add | Sub | Mul, call: Call) -> dict[str, Value]:
    scale, zero_point = call.per_tensor(call.output)
    low, high = activation_range(op.activation, scale, zero_point, call.output_type)
    return {"output_zero_point": zero_point, "output_min": low, "output_max": high}


def _binary(call: Call, name: str, struct: str, parameters: dict[str, Value]) -> Step:
    """An operand of the output's shape is read element by element as the output is written."""
    operands = tuple(map(_operand, call.inputs, "ab"))
    whole = tuple(i for i, x in enumerate(call.inputs) if x.elements == call.output.elements)
    shape = padded(call.output.shape, 1)

    def of_shape(shape: tuple[int, ...]) -> Kernel:
        fields = {**parameters, "shape": shape}
        return Kernel(name, struct, fields, operands, call.node.outputs, overwrites=whole)

    def of_rows(rows: Axis) -> Kernel:
        return of_shape((*shape[:_HEIGHT], rows.count, *shape[_HEIGHT + 1 :]))

    is_by_rows = all(_is_by_rows(x, call.output) for x in call.inputs)
    return Step(call.node, (of_shape(shape),), of_rows=of_rows if is_by_rows else None)


def _is_by_rows(operand: Tensor, output: Tensor) -> bool:
    """Whether any row of an image reads the same row of an operand, or the same of it as others."""
    if len(output.shape) != 4:
        return False
    is_row = operand.data is None and operand.shape == output.shape
    return is_row or padded(operand.shape, 1)[_HEIGHT] == 1


def by_elements(call: Call, of_elements: Callable[[int], Kernel]) -> Step:
    """The step of a kernel that computes so many elements, one by one, wherever they lie."""
    shape, elements = call.output.shape, call.output.elements

    def of_rows(rows: Axis) -> Kernel:
        return of_elements(elements // shape[1] * rows.count)

    return Step(call.node, (of_elements(elements),), of_rows=of_rows if len(shape) == 4 else None)


def _operand(tensor: Tensor, role: str) -> str | Constant:
    return tensor.name if tensor.data is None else Constant(role, tensor.data)


def lookup(op: Op, call: Call) -> Step:
    """The step of an op whose 8-bit output depends on one 8-bit value: a table of all 256."""
    x = call.inputs[0]
    if x.dtype not in EIGHT_BIT or call.output.dtype not in EIGHT_BIT:
        raise call.refuse("has a C kernel for 8-bit values only")
    every = np.arange(256, dtype=np.uint8).view(x.dtype.numpy)
    (table,) = evaluate(replace(call, values=(every,)))
    return _table(call, table.view(np.uint8))


def rescale(op: Rescale, call: Call) -> Step:
    """The step of an input that a Concatenation of uint8 tensors rescales."""
    return _table(call, np.frombuffer(op.table, np.uint8))


def _table(call: Call, table: Array) -> Step:
    x, stored = call.inputs[0], Constant("table", table)

    def of_elements(elements: int) -> Kernel:
        return Kernel(
            name="ek_lookup_8",
            struct="ek_lookup",
            parameters={"elements": elements, "table": stored},
            operands=(x.name,),
            outputs=call.node.outputs,
            overwrites=(0,),
        )

    return by_elements(call, of_elements)
