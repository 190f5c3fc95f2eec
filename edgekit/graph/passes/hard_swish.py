"""HARD_SWISH: recognized in x * relu6(x + 3) / 6, and written out again for chips without it."""

from __future__ import annotations

import numpy as np

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Activation
from edgekit.graph.passes.draft import Draft, rewrite

_TOLERANCE = 1e-5


def fuse_hard_swish(graph: Graph) -> Graph:
    """The graph with HARD_SWISH for (x * relu6(x + 3)) / 6 and x * (relu6(x + 3) / 6)."""
    return rewrite(graph, _fuse)


def expand_hard_swish(graph: Graph) -> Graph:
    """The graph with (x * relu6(x + 3)) / 6 for HARD_SWISH.

    The Edge TPU has ADD with RELU6 and MUL but not HARD_SWISH, which would end what runs on it.
    The product with 1/6 can be folded into a convolution that follows.
    """
    return rewrite(graph, _expand)


def _scalar(draft: Draft, name: str) -> float | None:
    """A constant's value if all its elements are the same."""
    values = draft.values(name)
    if values is None or values.size == 0 or not np.all(values == values.reshape(-1)[0]):
        return None
    return float(values.reshape(-1)[0])


def _with_constant(
    draft: Draft, name: str, kind: type[ops.Op], value: float
) -> tuple[str, Node] | None:
    """(x, node) if the tensor is kind(x, value)."""
    node = draft.writer(name)
    if node is None or not isinstance(node.op, kind):
        return None
    for source, other in (node.inputs, node.inputs[::-1]):
        found = _scalar(draft, other)
        if found is not None and abs(found - value) <= _TOLERANCE * value:
            return source, node
    return None


def _gate(draft: Draft, name: str) -> str | None:
    """x if the tensor is relu6(x + 3)."""
    node = draft.writer(name)
    wanted = Activation.RELU6
    if node is not None and isinstance(node.op, ops.Relu6):
        name, wanted = node.inputs[0], Activation.NONE
    found = _with_constant(draft, name, ops.Add, 3.0)
    if (
        found is None
        or not isinstance(found[1].op, ops.Add)
        or found[1].op.activation is not wanted
    ):
        return None
    return found[0]


def _product(draft: Draft, node: Node) -> str | None:
    """x if the node is x * relu6(x + 3)."""
    for source, other in (node.inputs, node.inputs[::-1]):
        if _gate(draft, other) == source:
            return source
    return None


def _source(draft: Draft, node: Node) -> str | None:
    """x if the node is x * relu6(x + 3) / 6."""
    for source, other in (node.inputs, node.inputs[::-1]):
        sixth = _with_constant(draft, other, ops.Mul, 1 / 6)
        if sixth is not None and _gate(draft, sixth[0]) == source:
            return source
    outer = _with_constant(draft, node.outputs[0], ops.Mul, 1 / 6)
    inner = draft.writer(outer[0]) if outer else None
    return _product(draft, inner) if inner and isinstance(inner.op, ops.Mul) else None


def _fuse(draft: Draft, node: Node) -> bool:
    if not isinstance(node.op, ops.Mul) or node.op.activation is not Activation.NONE:
        return False
    source = _source(draft, node)
    if source is None:
        return False
    draft.replace(node, Node(node.name, ops.HardSwish(), (source,), node.outputs))
    return True


def _expand(draft: Draft, node: Node) -> bool:
    if not isinstance(node.op, ops.HardSwish):
        return False
    (source,), name = node.inputs, node.outputs[0]
    shape = draft.tensor(source).shape
    three = draft.add_constant(f"{name}/three", np.array([3.0]))
    sixth = draft.add_constant(f"{name}/sixth", np.array([1 / 6]))
    gate = draft.add_activation(f"{name}/gate", shape)
    product = draft.add_activation(f"{name}/product", shape)
    draft.replace(
        node,
        Node(f"{node.name}/gate", ops.Add(Activation.RELU6), (source, three), (gate,)),
        Node(f"{node.name}/product", ops.Mul(), (source, gate), (product,)),
        Node(node.name, ops.Mul(), (product, sixth), node.outputs),
    )
    return True
