"""The graph under construction: emits nodes and rearranges tensors while a model is read.

ONNX tensors enter as constants or as views (see `onnx_layout`); graph tensors and nodes leave. An
op whose inputs do not fit is refused by `shapes.infer`, a tensor too large to be meant is refused
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from edgekit.convert.onnx_layout import (
    Shape,
    Values,
    View,
    channels_last,
    nhwc_order,
    over_split,
)
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops, shapes
from edgekit.graph.ir import DType, Graph, Node, Tensor

# 2^26 float32 are 256 MiB: no network for these boards has such an activation.
MOST_ELEMENTS = 1 << 26
# TRANSPOSE in TFLite Micro has at most as many dimensions.
_MOST_TRANSPOSED = 5


class GraphBuilder:
    """Nodes and tensors so far, and what each ONNX tensor is: a constant or a view."""

    def __init__(self, name: str) -> None:
        self.constants: dict[str, Values] = {}
        self.views: dict[str, View] = {}
        self._name = name
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._node_names: set[str] = set()
        self._inputs: list[str] = []
        self._origin = ("", "")

    def begin(self, output: str, node_name: str) -> None:
        """Say which ONNX node the next nodes come from: its first output and its name."""
        self._origin = (output, node_name)

    def writer(self, tensor: str) -> Node | None:
        """The node that writes a graph tensor."""
        return next((node for node in self._nodes if tensor in node.outputs), None)

    def add_input(self, name: str, shape: Shape) -> str:
        """Declare a graph input; returns its tensor name."""
        self._add_tensor(Tensor(name, shape, DType.FLOAT32))
        self._inputs.append(name)
        return name

    def add_constant(self, name: str, values: Values) -> str:
        """Add float32 or int32 values; returns the tensor's name (made unique).

        Raises:
            InputError: not a finite number.
        """
        integers = np.issubdtype(values.dtype, np.integer)
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(values, np.int32 if integers else np.float32)
        if not np.isfinite(data).all():
            raise InputError(f"The weights '{name}' hold values that are not finite numbers.")
        tensor = Tensor.constant(_unique(name, self._tensors), data)
        self._add_tensor(tensor)
        return tensor.name

    def emit(self, op: ops.Op, inputs: Sequence[str], name: str) -> View:
        """Add a node with one output; returns the plain view of that output.

        Args:
            inputs: graph tensors.
            name: of the output; made unique. The node is named after its ONNX node.
        """
        return self.emit_all(op, inputs, [name])[0]

    def emit_all(self, op: ops.Op, inputs: Sequence[str], names: Sequence[str]) -> list[View]:
        """Add a node with as many outputs as names; returns their plain views."""
        found = shapes.infer(op, [self._tensors[name] for name in inputs])
        outputs = []
        for name, shape in zip(names, found, strict=True):
            tensor = Tensor(_unique(name, self._tensors), shape, DType.FLOAT32)
            self._add_tensor(tensor)
            outputs.append(View(tensor.name, shape, tuple((axis,) for axis in range(len(shape)))))
        origin, origin_name = self._origin
        stem = origin_name + names[0].removeprefix(origin) if origin else names[0]
        node_name = _unique(stem if names[0].startswith(origin) else names[0], self._node_names)
        self._node_names.add(node_name)
        names_out = tuple(view.tensor for view in outputs)
        self._nodes.append(Node(node_name, op, tuple(inputs), names_out))
        return outputs

    def _add_tensor(self, tensor: Tensor) -> None:
        if not tensor.is_constant and prod(tensor.shape) > MOST_ELEMENTS:
            raise UnsupportedError(
                f"The tensor '{tensor.name}' {list(tensor.shape)} is larger than 256 MiB."
            )
        self._tensors[tensor.name] = tensor

    def placed(self, view: View, reading: Sequence[int], shape: Shape) -> View:
        """The graph tensor with its axes (those larger than 1) in this order and this shape.

        Emits a Transpose and a Reshape where needed, nothing where the tensor already is so. The
        returned view is plain: one ONNX axis for each graph axis.
        """
        tensor, current = view.tensor, view.shape
        if list(reading) != sorted(reading):
            if len(current) > _MOST_TRANSPOSED:
                return self._placed_without_units(view, reading, shape)
            units = [axis for axis, size in enumerate(current) if size == 1]
            front = [0] if 0 in units else []
            permutation = [*front, *reading, *(axis for axis in units if axis not in front)]
            constant = self.add_constant(f"{tensor}/permutation", np.array(permutation, np.int32))
            moved = self.emit(ops.Transpose(), [tensor, constant], f"{tensor}/transpose")
            tensor, current = moved.tensor, moved.shape
        if current != shape:
            constant = self.add_constant(f"{tensor}/shape", np.array(shape, np.int32))
            tensor = self.emit(ops.Reshape(), [tensor, constant], f"{tensor}/reshape").tensor
        return View(tensor, shape, tuple((axis,) for axis in range(len(shape))))

    def _placed_without_units(self, view: View, reading: Sequence[int], shape: Shape) -> View:
        """The same for a tensor of many dimensions: those of size 1 are dropped first."""
        kept = [axis for axis, size in enumerate(view.shape) if size > 1]
        dense = tuple(view.shape[axis] for axis in kept)
        if len(dense) > _MOST_TRANSPOSED:
            raise UnsupportedError(
                f"moves {len(dense)} dimensions at once; TFLite Micro moves {_MOST_TRANSPOSED}"
            )
        axes = tuple((axis,) for axis in range(len(dense)))
        moved = self.placed(view, kept, dense)
        return self.placed(View(moved.tensor, dense, axes), [kept.index(i) for i in reading], shape)

    def ordered(self, view: View, order: Sequence[int]) -> View:
        """The same ONNX tensor over a graph tensor whose dimensions are its axes in this order."""
        shape = tuple(view.dims[axis] for axis in order)
        plain = self.placed(view, view.reading(order), shape)
        return plain.transposed([int(axis) for axis in np.argsort(order)])

    def standard(self, view: View) -> View:
        """The same ONNX tensor, one graph axis an ONNX axis: NHWC if of rank 4, else in order."""
        rank = len(view.axes)
        return self.ordered(view, nhwc_order(rank) if rank == 4 else range(rank))

    def nhwc(self, view: View) -> View:
        """An NCHW (or NCL) ONNX tensor over a graph tensor (N,H,W,C) (or (N,1,L,C))."""
        rank, dims = len(view.axes), view.dims
        if rank not in (3, 4):
            raise UnsupportedError(
                f"its input has the shape {list(dims)}; only 1-D and 2-D networks are supported"
            )
        shape = (dims[0], *((1,) if rank == 3 else ()), *dims[2:], dims[1])
        placed = self.placed(view, view.reading(nhwc_order(rank)), shape)
        return channels_last(placed.tensor, shape, rank)

    def with_axis(self, view: View, axis: int) -> tuple[View, int]:
        """The same ONNX tensor so that the ONNX axis is a single graph axis, and which one."""
        found = view.graph_axis(axis)
        if found is None:
            view = self.standard(view)
            found = view.axes[axis][0]
        return view, found

    def reshaped(self, view: View, dims: Shape) -> View:
        """The ONNX tensor reshaped: a mere view where possible."""
        found = view.regrouped(dims)
        if found is not None:
            return found
        split = view.split_shape(dims)
        if split is not None:
            moved = self.placed(view, sorted(view.reading()), split)
            found = View(moved.tensor, split, over_split(view, split)).regrouped(dims)
        if found is not None:
            return found
        return self.placed(view, view.reading(), dims)

    def graph(self, outputs: Sequence[str]) -> Graph:
        """The finished graph; its outputs carry the ONNX outputs' names.

        Outputs of rank 4 are NHWC unless ONNX has them in the graph's order already; others keep
        ONNX's order.
        """
        names: dict[str, str] = {}
        border = []
        for name in outputs:
            if name not in self.views:
                raise UnsupportedError(f"The output '{name}' is a constant.")
            try:
                tensor = self._leaving(self.views[name]).tensor
            except UnsupportedError as error:
                raise UnsupportedError(f"The output '{name}' {error}.") from error
            border.append(tensor)
            if tensor not in self._inputs and name not in self._inputs:
                names.setdefault(tensor, name)
        renamed = _renamed(self._tensors, _needed(self._nodes, border), names)
        empty = Graph(self._name, {}, (), tuple(self._inputs), _through(names, border))
        return empty.with_nodes(*renamed)

    def _leaving(self, view: View) -> View:
        in_order = view.dims == view.shape and list(view.reading()) == sorted(view.reading())
        if len(view.axes) <= 2:
            return self.placed(view, view.reading(), view.dims)
        return view if in_order else self.standard(view)


def _unique(name: str, taken: dict[str, Tensor] | set[str]) -> str:
    candidate, count = name, 0
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    return candidate


def _needed(nodes: list[Node], outputs: Sequence[str]) -> list[Node]:
    """The nodes some output depends on: converters read past a Relu that a clip makes needless."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _through(names: dict[str, str], found: Sequence[str]) -> tuple[str, ...]:
    return tuple(names.get(name, name) for name in found)


def _renamed(
    tensors: dict[str, Tensor], nodes: list[Node], names: dict[str, str]
) -> tuple[tuple[Node, ...], dict[str, Tensor]]:
    """The same graph with some tensors renamed; whoever had a new name before gives it up."""
    for wanted in set(names.values()):
        if wanted in tensors and wanted not in names:
            names = {**names, wanted: _unique(f"{wanted}/inner", {*tensors, *names})}
    new_tensors = {
        names.get(name, name): Tensor(
            names.get(name, name), t.shape, t.dtype, t.quantization, t.data
        )
        for name, t in tensors.items()
    }
    new_nodes = tuple(
        Node(names.get(n.name, n.name), n.op, _through(names, n.inputs), _through(names, n.outputs))
        for n in nodes
    )
    return new_nodes, new_tensors
