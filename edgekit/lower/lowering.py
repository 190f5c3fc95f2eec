"""Graph -> Program: each op's own file says which kernel computes it.

An integer graph enters, a `Program` leaves. Refused: ops and element types that no kernel of the
runtime computes, named with their node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.reference.call import Call
from edgekit.lower.convolution import conv_2d
from edgekit.lower.program import Program, Step

Lowering = Callable[[Any, Call], Step]

LOWERINGS: Mapping[type[ops.Op], Lowering] = {
    ops.Conv2D: conv_2d,
}


def lower(graph: Graph) -> Program:
    """The program of a graph.

    Raises:
        UnsupportedError: names the first node that no kernel computes.
    """
    return Program(graph, tuple(_step(graph, node) for node in graph.nodes))


def _step(graph: Graph, node: Node) -> Step:
    inputs = graph.inputs_of(node)
    absent = np.empty(0)  # an activation has no value yet
    values = tuple(absent if tensor.data is None else tensor.data for tensor in inputs)
    call = Call(node, inputs, graph.outputs_of(node), values)
    lowering = LOWERINGS.get(type(node.op))
    if lowering is None:
        raise UnsupportedError(
            f"{node.op.tflite_name} '{node.name}' has no C kernel.",
            hint="Build for tflm, rpi or coral, or replace the op; docs/ops.md lists the kernels.",
        )
    return lowering(node.op, call)
