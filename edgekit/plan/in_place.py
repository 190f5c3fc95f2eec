"""Which tensors may lie in the same place: an element-wise node may overwrite its input.

A graph and its activations' live ranges enter; the activations leave in groups, each of which one
buffer can hold. TFLite Micro's kernels for these ops, and CMSIS-NN's, read what they need of an
element before they write that element and never look back, so the result is the same to the bit;
TFLM's own planner never makes use of it. Source: tflite-micro's micro/kernels/, CMSIS-NN's
Source/BasicMathFunctions/.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Op
from edgekit.plan.greedy import Buffer

# Output element i is computed from element i of an input of the same shape.
ELEMENT_WISE: tuple[type[Op], ...] = (
    ops.Relu,
    ops.Relu6,
    ops.HardSwish,
    ops.Logistic,
    ops.Add,
    ops.Sub,
    ops.Mul,
    ops.Quantize,
)
# The output is the input's bytes.
COPIES: tuple[type[Op], ...] = (ops.Reshape, ops.Squeeze, ops.ExpandDims)


def groups(graph: Graph, buffers: Sequence[Buffer]) -> list[list[Buffer]]:
    """The buffers, those that can share their place together, each group in order of life.

    A group's members follow each other: one ends at the step at which the next begins.

    Args:
        graph: names what each node computes.
        buffers: the activations of the graph, as `arena.activation_buffers` gives them.
    """
    by_name = {buffer.name: buffer for buffer in buffers}
    group_of = {buffer.name: [buffer] for buffer in buffers}
    for step, node in enumerate(graph.nodes, start=1):
        name = _overwritable(graph, node)
        if name is None:
            continue
        for source in node.inputs:
            if source in by_name and _gives_way(graph, source, name, by_name[source].last == step):
                group = group_of[source]
                group.append(by_name[name])
                group_of[name] = group
                break
    return list({id(group): group for group in group_of.values()}.values())


def _overwritable(graph: Graph, node: Node) -> str | None:
    """The output that may lie where an input lies; None if the node needs both."""
    if isinstance(node.op, (*ELEMENT_WISE, *COPIES)) and len(node.outputs) == 1:
        return node.outputs[0]
    return None


def _gives_way(graph: Graph, source: str, target: str, dies: bool) -> bool:
    """Whether the target may overwrite the source: read for the last time, of the same bytes."""
    one, other = graph.tensors[source], graph.tensors[target]
    same = one.size_bytes == other.size_bytes and one.elements == other.elements
    return dies and same and source not in graph.outputs
