"""What an op's definition receives: one node, the tensors around it, the values it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedError
from edgekit.graph.ir import DType, Node, Quantization, Tensor

Values = npt.NDArray[Any]
EIGHT_BIT = (DType.INT8, DType.UINT8)


@dataclass(frozen=True, eq=False)
class Call:
    """One execution of a node.

    Attributes:
        inputs: the tensors read, as declared by the graph.
        outputs: the tensors written, as declared by the graph.
        values: the values of the inputs; activations may carry a batch N where the graph says 1.
    """

    node: Node
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    values: tuple[Values, ...]

    @property
    def title(self) -> str:
        """The node as messages name it."""
        return f"{self.node.op.tflite_name} '{self.node.name}'"

    @property
    def output(self) -> Tensor:
        """The first (for all ops but Split: the only) output."""
        return self.outputs[0]

    @property
    def output_type(self) -> np.dtype[Any]:
        """The NumPy dtype of the first output."""
        return self.output.dtype.numpy

    @property
    def is_float(self) -> bool:
        """Whether the node reads and writes float32."""
        return self.inputs[0].dtype is DType.FLOAT32 and self.output.dtype is DType.FLOAT32

    def require_8_bit(self) -> None:
        """Refuse anything but int8 -> int8 and uint8 -> uint8."""
        if self.inputs[0].dtype not in EIGHT_BIT or self.inputs[0].dtype is not self.output.dtype:
            types = f"{self.inputs[0].dtype.value} -> {self.output.dtype.value}"
            raise self.refuse(f"is not defined for {types}")

    def require_same_quantization(self) -> None:
        """Refuse an output that is not quantized as the first input is."""
        first, last = self.quantization(self.inputs[0]), self.quantization(self.output)
        if first.scale != last.scale or first.zero_point != last.zero_point:
            raise self.refuse("needs the same quantization for its input and output")

    def quantization(self, tensor: Tensor) -> Quantization:
        """The tensor's quantization, which must exist and have positive finite scales."""
        quantization = tensor.quantization
        if quantization is None or not len(quantization.scales):
            raise self.refuse(f"needs quantization parameters for '{tensor.name}'")
        scales = quantization.scales
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise self.refuse(f"needs positive finite scales for '{tensor.name}'")
        return quantization

    def per_tensor(self, tensor: Tensor) -> tuple[float, int]:
        """(scale, zero point) of a tensor quantized as a whole."""
        quantization = self.quantization(tensor)
        if quantization.is_per_channel:
            raise self.refuse(f"needs one scale for all of '{tensor.name}'")
        return quantization.scale, quantization.zero_point

    def refuse(self, reason: str) -> UnsupportedError:
        """The error for a combination the op does not define."""
        return UnsupportedError(f"{self.title} {reason}.")
