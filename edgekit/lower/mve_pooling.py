"""AveragePool2D and MaxPool2D for cores with MVE; None leaves a node to another kernel."""

from __future__ import annotations

import numpy as np

from edgekit.graph.fixedpoint import Integers, activation_range
from edgekit.graph.ir import DType
from edgekit.graph.ops import AveragePool2D, MaxPool2D
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.windows import Axis
from edgekit.lower.linear_form import LinearForm, linear_form
from edgekit.lower.pooling import pool
from edgekit.lower.program import Kernel, Step
from edgekit.lower.windows import geometry

_MOST = 255  # values of a window, whose sum fits 16 bits
_CHANNELS = 8  # that are summed together


def average_pool_2d(op: AveragePool2D, call: Call) -> Step | None:
    """The step of an AveragePool2D whose windows all lie inside."""
    x = call.inputs[0]
    rows = Axis.of(x.shape[1], op.filter[0], op.stride[0], 1, op.padding)
    columns = Axis.of(x.shape[2], op.filter[1], op.stride[1], 1, op.padding)
    count = rows.taps * columns.taps
    if rows.before + rows.after + columns.before + columns.after or count > _MOST:
        return None
    low, high = activation_range(op.activation, *call.per_tensor(call.output), call.output_type)
    sums = _sums(count)
    means = np.sign(sums) * ((np.abs(sums) + count // 2) // count)
    return _average(call, rows, columns, np.clip(means, low, high))


def max_pool_2d(op: MaxPool2D, call: Call) -> Step | None:
    """The step of a MaxPool2D: the portable one's parameters."""
    return pool(op, call, "ek_max_pool_mve")


def _average(call: Call, rows: Axis, columns: Axis, outputs: Integers) -> Step | None:
    """The step of windows whose sums, from the smallest on, give `outputs`."""
    x = call.inputs[0]
    if {x.dtype, call.output.dtype} != {DType.INT8} or x.shape[3] % _CHANNELS:
        return None
    count = rows.taps * columns.taps
    found = _form(_sums(count), outputs, 1 / count)
    if found is None:
        return None
    form, rounds_away = found

    def of_rows(rows: Axis) -> Kernel:
        fields = geometry(rows, columns, x.shape)
        return Kernel(
            name="ek_average_pool_mve",
            struct="ek_pool_vectors",
            parameters={
                **{key: value for key, value in fields.items() if not key.startswith("pad_")},
                "rounds_away": int(rounds_away),
                "factor": form.factors[0],
                "offset": form.offset,
                "shift": form.shift,
            },
            operands=(x.name,),
            outputs=call.node.outputs,
        )

    return Step.by_rows(call.node, rows, of_rows)


def _form(sums: Integers, outputs: Integers, ratio: float) -> tuple[LinearForm, bool] | None:
    """The form of sums, and whether 1 is taken off negative ones first."""
    for rounds_away in (False, True):
        form = linear_form([sums - rounds_away * (sums < 0)], outputs, [ratio])
        if form is not None:
            return form, rounds_away
    return None


def _sums(count: int) -> Integers:
    """Every sum of that many int8 values."""
    return np.arange(-128 * count, 127 * count + 1, dtype=np.int64)
