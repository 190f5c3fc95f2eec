"""Drop what does nothing, or nothing new: reshapes of reshapes, x * 1, x + 0, twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation
from edgekit.graph.passes.draft import Draft, rewrite


def drop_identities(graph: Graph) -> Graph:
    """The graph without nodes that do nothing or do what another node did."""
    return rewrite(graph, _reshape_of_reshape, _identity, _repeated)


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


def _repeated(draft: Draft, node: Node) -> bool:
    """What another node made of the same inputs: exporters slice or shuffle a tensor twice."""
    computed = [name for name in node.inputs if draft.values(name) is None]
    if not computed or any(draft.is_output(name) for name in node.outputs):
        return False
    for first in draft.readers(computed[0]):
        if first is node:
            return False
        if first.op == node.op and _same_inputs(draft, first, node):
            names = dict(zip(node.outputs, first.outputs, strict=True))
            draft.replace(node)
            for other in draft.nodes:
                if names.keys() & set(other.inputs):
                    inputs = tuple(names.get(name, name) for name in other.inputs)
                    draft.replace(other, replace(other, inputs=inputs))
            return True
    return False


def _same_inputs(draft: Draft, first: Node, second: Node) -> bool:
    """The same tensors; constant integers (axes, shapes, permutations) may be equal by value."""
    if len(first.inputs) != len(second.inputs):
        return False
    for a, b in zip(first.inputs, second.inputs, strict=True):
        left, right = draft.values(a), draft.values(b)
        if a == b:
            continue
        if left is None or right is None or left.dtype != np.int32:
            return False
        if not np.array_equal(left, right):
            return False
    return True
