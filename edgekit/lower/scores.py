"""Softmax."""

from __future__ import annotations

import numpy as np

from edgekit.graph.ir import DType
from edgekit.graph.ops import Softmax
from edgekit.graph.reference.call import Call
from edgekit.graph.reference.softmax import exponentials
from edgekit.lower.program import Constant, Kernel, Step


def softmax(op: Softmax, call: Call) -> Step:
    """The step of a Softmax: the exponentials of all differences are a table."""
    x = call.inputs[0]
    if x.dtype is not DType.INT8:
        raise call.refuse("has a C kernel for int8 only")
    depth = x.shape[-1]
    kernel = Kernel(
        name="ek_softmax_s8",
        struct="ek_softmax",
        parameters={
            "rows": x.elements // depth,
            "depth": depth,
            "exponentials": Constant("exponentials", exponentials(op, call).astype(np.int32)),
        },
        operands=(x.name,),
        outputs=call.node.outputs,
        overwrites=(),
    )
    return Step(call.node, (kernel,))
