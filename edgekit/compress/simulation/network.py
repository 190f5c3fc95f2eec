"""A whole int8 graph in torch: integers to the bit, gradients straight through.

An integer graph (and the float one it was made of) enters; its activations, held as float32 in
integer steps, leave `forward`, equal to those of the reference. Layers with weights are trained,
see `layer`; all other nodes are computed by the reference itself and have the gradient of what they
mean in reals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekit.compress.simulation import reals
from edgekit.compress.simulation.layer import WEIGHTED, Layer
from edgekit.graph import ir
from edgekit.graph.batching import carries_batch
from edgekit.graph.reference import evaluate
from edgekit.graph.reference.call import Call

Values = dict[str, Tensor]


def is_trainable(graph: ir.Graph, origin: ir.Graph) -> bool:
    """Whether an int8 graph has layers with weights and can be trained after its float origin.

    Samples must stay apart, all ops must be known to `reals`, and both graphs have one input and
    outputs of the same names.
    """
    layers = [node for node in graph.nodes if isinstance(node.op, WEIGHTED)]
    plain = len(graph.inputs) == 1 and graph.inputs == origin.inputs
    known = all(map(reals.is_known, (*graph.nodes, *origin.nodes)))
    batched = carries_batch(graph) and carries_batch(origin)
    return bool(layers) and plain and graph.outputs == origin.outputs and known and batched


class Simulation(nn.Module):
    """Some nodes of an integer graph, in execution order.

    Args:
        graph: the int8 graph.
        nodes: those to compute; all ops among them must be known to `reals`.
        origin: the float graph; its layers have the outputs' names of the integer one's.
    """

    def __init__(self, graph: ir.Graph, nodes: Sequence[ir.Node], origin: ir.Graph) -> None:
        super().__init__()
        self._graph, self._nodes = graph, tuple(nodes)
        found = {node.outputs[0]: node for node in origin.nodes}
        self.layers = nn.ModuleList()
        self._layer_of: dict[str, Layer] = {}
        for node in self._nodes:
            if isinstance(node.op, WEIGHTED):
                ours = found.get(node.outputs[0])
                weights = None if ours is None else origin.tensors[ours.inputs[1]].data
                layer = Layer(graph, node, weights)
                self._layer_of[node.outputs[0]] = layer
                self.layers.append(layer)

    def forward(self, values: Mapping[str, Tensor]) -> Values:
        """All activations by name, in steps, from those that the nodes read first."""
        known = dict(values)
        for node in self._nodes:
            layer = self._layer_of.get(node.outputs[0])
            if layer is not None:
                known[node.outputs[0]] = layer(known[node.inputs[0]])
            else:
                known.update(zip(node.outputs, self._other(node, known), strict=True))
        return known

    def real(self, name: str, steps: Tensor) -> Tensor:
        """An activation in steps as the reals it stands for."""
        return _real(self._graph.tensors[name], steps)

    def integer(self) -> ir.Graph:
        """The graph with the layers' weights and biases as they are now."""
        tensors = dict(self._graph.tensors)
        for layer in self._layer_of.values():
            tensors.update(layer.constants())
        return replace(self._graph, tensors=tensors)

    def keep_near(self, steps: float) -> None:
        """Bring all weights back to within so many steps of where they began."""
        for layer in self._layer_of.values():
            layer.keep_near(steps)

    def _other(self, node: ir.Node, known: Values) -> list[Tensor]:
        """A node without weights: the reference's integers, the gradient of the reals."""
        inputs, outputs = self._graph.inputs_of(node), self._graph.outputs_of(node)
        steps = [_constant(t) if t.data is not None else known[t.name] for t in inputs]
        integers = tuple(
            tensor.data if tensor.data is not None else value.detach().numpy().astype("int8")
            for tensor, value in zip(inputs, steps, strict=True)
        )
        exact = evaluate(Call(node, inputs, outputs, integers))
        meant = [_real(tensor, value) for tensor, value in zip(inputs, steps, strict=True)]
        found = reals.evaluate(self._graph, node, meant)
        return [
            _Straight.apply(_in_steps(tensor, value), torch.from_numpy(integers).float())
            for tensor, value, integers in zip(outputs, found, exact, strict=True)
        ]


def float_outputs(
    graph: ir.Graph, nodes: Sequence[ir.Node], values: Mapping[str, Tensor]
) -> Values:
    """All activations of some nodes of a float graph, from those they read first."""
    known = dict(values)
    with torch.no_grad():
        for node in nodes:
            read = [
                _constant(tensor) if tensor.data is not None else known[tensor.name]
                for tensor in graph.inputs_of(node)
            ]
            known.update(zip(node.outputs, reals.evaluate(graph, node, read), strict=True))
    return known


def _constant(tensor: ir.Tensor) -> Tensor:
    return torch.tensor(tensor.data, dtype=torch.float32)


def _real(tensor: ir.Tensor, steps: Tensor) -> Tensor:
    quantization = tensor.quantization
    if quantization is None:
        return steps
    return (steps - quantization.zero_point) * quantization.scale


def _in_steps(tensor: ir.Tensor, real: Tensor) -> Tensor:
    quantization = tensor.quantization
    assert quantization is not None  # activations of an integer graph have one
    low, high = tensor.dtype.limits
    return (real / quantization.scale + quantization.zero_point).clamp(low, high)


class _Straight(torch.autograd.Function):
    """(reals, integers) -> the integers, with the gradient of the reals."""

    @staticmethod
    def forward(ctx: Any, meant: Tensor, exact: Tensor) -> Tensor:
        return exact

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return gradient, None
