"""One ONNX node as its converter sees it: its operands and parameters, wherever they are stored.

ONNX moved many parameters from attributes to inputs over the years (axes, pads, bounds, splits);
converters ask here and need not know. Messages are fragments: the reader puts the node in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit.convert.onnx_builder import GraphBuilder
from edgekit.convert.onnx_layout import Values, View
from edgekit.convert.onnx_model import OnnxNode
from edgekit.errors import InputError, UnsupportedError


@dataclass(frozen=True, eq=False)
class Call:
    """A node and the builder that holds what its inputs are."""

    builder: GraphBuilder
    node: OnnxNode

    @property
    def output(self) -> str:
        """The name of the node's first output."""
        return self.node.outputs[0]

    def has(self, index: int) -> bool:
        """Whether an optional input is given."""
        return index < len(self.node.inputs) and self.node.inputs[index] != ""

    def is_constant(self, index: int) -> bool:
        """Whether an input is given and known before the network runs."""
        return self.has(index) and self.node.inputs[index] in self.builder.constants

    def view(self, index: int) -> View:
        """An input that the network computes.

        Raises:
            UnsupportedError: it is a constant.
        """
        name = self.node.inputs[index] if self.has(index) else ""
        if name not in self.builder.views:
            raise UnsupportedError(f"its input {index} '{name}' must be computed, not constant")
        return self.builder.views[name]

    def constant(self, index: int, what: str) -> Values:
        """An input that is known before the network runs.

        Raises:
            UnsupportedError: it is computed.
        """
        if not self.is_constant(index):
            name = self.node.inputs[index] if self.has(index) else ""
            raise UnsupportedError(f"its {what} '{name}' must be constant")
        values = self.builder.constants[self.node.inputs[index]]
        if values.dtype.kind not in "fiub":
            raise UnsupportedError(f"its {what} are of type {values.dtype}, not numbers")
        return values

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute's value."""
        return self.node.attributes.get(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """An attribute that is 0 or 1.

        Raises:
            InputError: another number, of which every runtime thinks differently.
        """
        value = self.attribute(name, int(default))
        if value not in (0, 1):
            raise InputError(f"its {name} is {value}; only 0 and 1 mean something")
        return bool(value)

    def ints(self, name: str, index: int, default: Sequence[int]) -> tuple[int, ...]:
        """Integers stored as the attribute `name` or, since some opset, as an input."""
        if name in self.node.attributes:
            return tuple(int(value) for value in self.node.attributes[name])
        if self.has(index):
            values = self.constant(index, name).reshape(-1)
            if not np.issubdtype(values.dtype, np.integer) or values.size > 64:
                raise InputError(f"its {name} must be a few integers")
            return tuple(int(value) for value in values)
        return tuple(default)

    def number(self, name: str, index: int, default: float) -> float:
        """A number stored as the attribute `name` or, since some opset, as an input."""
        if name in self.node.attributes:
            return float(self.node.attributes[name])
        if not self.has(index):
            return default
        values = self.constant(index, name).reshape(-1)
        if values.size != 1:
            raise InputError(f"its {name} must be one number")
        return float(values[0])

    def axis(self, value: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= value < rank:
            raise InputError(f"axis {value} does not exist in {rank} dimensions")
        return value % rank
