"""What sliding windows share: where they lie, and how their sums become outputs."""

from __future__ import annotations

import numpy as np

from edgekit.graph.reference.layer import IntegerTerms
from edgekit.graph.reference.windows import Axis
from edgekit.lower.program import Constant, Value


def geometry(rows: Axis, columns: Axis, shape: tuple[int, ...]) -> dict[str, Value]:
    """The fields of a sliding window over an input (N,H,W,C)."""
    return {
        "batches": shape[0],
        "input_height": rows.size,
        "input_width": columns.size,
        "input_channels": shape[3],
        "output_height": rows.count,
        "output_width": columns.count,
        "kernel_height": rows.taps,
        "kernel_width": columns.taps,
        "stride_height": rows.stride,
        "stride_width": columns.stride,
        "pad_top": rows.before,
        "pad_left": columns.before,
    }


def dilation(rows: Axis, columns: Axis) -> dict[str, Value]:
    """How far the taps of a window lie apart."""
    return {"dilation_height": rows.dilation, "dilation_width": columns.dilation}


def requantization(terms: IntegerTerms) -> dict[str, Value]:
    """The fields that turn sums into outputs; a bias wraps as the compiled kernels' int32 does."""
    return {
        "bias": Constant("bias", terms.bias.astype(np.int32)),
        "multipliers": Constant("multipliers", terms.multiplier.astype(np.int32)),
        "shifts": Constant("shifts", terms.shift.astype(np.int8)),
        "input_zero_point": terms.input_zero_point,
        "output_zero_point": terms.zero_point,
        "output_min": terms.low,
        "output_max": terms.high,
    }
