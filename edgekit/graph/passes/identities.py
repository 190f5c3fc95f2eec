"""Drop what does nothing: reshapes of reshapes or to the same shape, x * 1, x + 0, twin splits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation
from edgekit.graph.passes.draft import Draft, rewrite


def drop_identities(graph: Graph) -> Graph:
    """The graph without nodes that do nothing or do what another node did."""
    return rewrite(graph, _reshape_of_reshape, _identity, _repeated_split)


def _reshape_of_reshape(draft: Draft, node: Node) -> bool:
    inner = draft.writer(node.inputs[0])
    if (
        inner is None
        or not isinstance(node.op, ops.Reshape)
        or not isinstance(inner.op, ops.Reshape)
    ):
        return False
    draft.replace(node, replace(node, inputs=(inner.inputs[0], *node.inputs[1:])))
    return True


def _identity(draft: Draft, node: Node) -> bool:
    source = _source_of_identity(draft, node)
    if source is None or draft.tensor(source).shape != draft.tensor(node.outputs[0]).shape:
        return False
    return draft.bypass(node, source)


def _source_of_identity(draft: Draft, node: Node) -> str | None:
    """The input that is also the output, if the node computes nothing."""
    if isinstance(node.op, ops.Reshape):
        return node.inputs[0]
    if isinstance(node.op, ops.Mul | ops.Add) and node.op.activation is Activation.NONE:
        neutral = 1 if isinstance(node.op, ops.Mul) else 0
        for source, other in (node.inputs, node.inputs[::-1]):
            values = draft.values(other)
            if values is not None and bool(np.all(values == neutral)):
                return source
    return None


def _repeated_split(draft: Draft, node: Node) -> bool:
    if not isinstance(node.op, ops.Split):
        return False
    axis = draft.values(node.inputs[0])
    for first in draft.readers(node.inputs[1]):
        if first is node:
            return False
        first_axis = draft.values(first.inputs[0])
        same = first.op == node.op and axis is not None and axis == first_axis
        if same and not any(draft.is_output(name) for name in node.outputs):
            names = dict(zip(node.outputs, first.outputs, strict=True))
            draft.replace(node)
            for other in draft.nodes:
                if names.keys() & set(other.inputs):
                    inputs = tuple(names.get(name, name) for name in other.inputs)
                    draft.replace(other, replace(other, inputs=inputs))
            return True
    return False
