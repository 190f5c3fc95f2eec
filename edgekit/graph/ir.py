"""The graph: frozen values that describe a network, float or integer.

One `Graph` is the single truth that TFLite bytes, generated C, memory plans, the Edge TPU preflight
and the emulators are read off. Layouts are TFLite's: activations NHWC, convolution weights OHWI,
depthwise weights 1HWC (C = channels x multiplier), fully connected weights OI. Nodes are stored in
execution order. Nothing here computes; see `reference` for what the ops mean and `verify` for what
makes a graph valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from math import prod

import numpy as np
import numpy.typing as npt

from edgekit.graph.ops import Op

Array = npt.NDArray[np.generic]


class DType(Enum):
    """Element types a tensor can have; the values are NumPy's names."""

    FLOAT32 = "float32"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    BOOL = "bool"

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy dtype."""
        return np.dtype(self.value)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the greatest value of an integer type."""
        info = np.iinfo(self.value)
        return int(info.min), int(info.max)


@dataclass(frozen=True, eq=False)
class Quantization:
    """real = scale * (q - zero_point), per tensor or per channel.

    Attributes:
        scales: float32, shape (1,) per tensor or (channels,) per channel.
        zero_points: int64, same shape.
        axis: the channel axis; meaningless (0) per tensor.
    """

    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    axis: int = 0

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> Quantization:
        """One scale and zero point for the whole tensor."""
        return Quantization(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @staticmethod
    def per_channel(scales: npt.NDArray[np.float32], axis: int) -> Quantization:
        """Symmetric: one scale a channel, every zero point 0 (TFLite's rule for weights)."""
        return Quantization(scales.astype(np.float32), np.zeros(len(scales), np.int64), axis)

    @property
    def is_per_channel(self) -> bool:
        """Whether more than one scale is given."""
        return len(self.scales) > 1

    @property
    def scale(self) -> float:
        """The per-tensor scale, as the exact value of its float32."""
        return float(self.scales[0])

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point."""
        return int(self.zero_points[0])


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named value: an activation (data is None) or a constant.

    Attributes:
        shape: static; the leading 1 of an activation is the batch.
        quantization: None for float and for plain integers (shapes, axes).
        data: the constant's value, dtype and shape as declared; never written to.
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    quantization: Quantization | None = None
    data: Array | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is known before the network runs."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes of the value, unpadded."""
        return self.elements * self.dtype.item_bytes

    @staticmethod
    def constant(name: str, data: Array, quantization: Quantization | None = None) -> Tensor:
        """A constant whose shape and dtype are those of `data`."""
        return Tensor(name, data.shape, DType(data.dtype.name), quantization, data)


@dataclass(frozen=True)
class Node:
    """One operation. Absent trailing inputs (a bias) are left out of `inputs`.

    Attributes:
        name: for messages; the name it had in the source model where there is one.
        op: which operation and its static parameters, see `ops`.
        inputs: tensor names, in TFLite's order (data, weights, bias).
        outputs: tensor names; only Split has more than one.
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: tensors by name, nodes in execution order, and its border."""

    name: str
    tensors: Mapping[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def inputs_of(self, node: Node) -> tuple[Tensor, ...]:
        """The tensors a node reads."""
        return tuple(self.tensors[name] for name in node.inputs)

    def outputs_of(self, node: Node) -> tuple[Tensor, ...]:
        """The tensors a node writes."""
        return tuple(self.tensors[name] for name in node.outputs)

    def constants(self) -> Iterator[Tensor]:
        """Every constant some node reads, once, in order of first use."""
        seen = set()
        for node in self.nodes:
            for tensor in self.inputs_of(node):
                if tensor.is_constant and tensor.name not in seen:
                    seen.add(tensor.name)
                    yield tensor

    def consumers(self, name: str) -> tuple[Node, ...]:
        """The nodes that read a tensor, in execution order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def producer(self, name: str) -> Node | None:
        """The node that writes a tensor; None for constants and graph inputs."""
        return next((node for node in self.nodes if name in node.outputs), None)

    def with_nodes(self, nodes: tuple[Node, ...], tensors: Mapping[str, Tensor]) -> Graph:
        """The same border around other contents; tensors nobody mentions are dropped."""
        used = {*self.inputs, *self.outputs}
        for node in nodes:
            used.update(node.inputs, node.outputs)
        kept = {name: tensor for name, tensor in tensors.items() if name in used}
        return replace(self, nodes=nodes, tensors=kept)
