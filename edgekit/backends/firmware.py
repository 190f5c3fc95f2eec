"""What the self test in a firmware knows of a network's ends: types, golden vectors, pixel values.

A deployment enters; values as the templates of the firmware backends write them leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekit.backends.base import Deployment, Golden, Values
from edgekit.emit.c_program import c_type
from edgekit.emit.text import plain
from edgekit.graph.ir import DType, Graph, Quantization, Tensor

# Golden vectors are linked into the firmware: as many as fit here, at least one.
_SELF_TEST_BYTES = 64 * 1024
# C libraries differ in the last digits of floats: so much of the largest one is allowed.
_FLOAT_TOLERANCE = 1e-5


@dataclass(frozen=True, eq=False)
class End:
    """An input or output of the network, as the templates write it.

    Attributes:
        side: "Input" or "Output".
        index: among the inputs or the outputs.
        id: part of its C names: the side, with the index if there are several.
        name: for comments.
        c_type: of one element.
        golden: the values to link, (n, *shape).
        tolerance: how far an output may be from those where the C library computes it; None for
            exact ones and for inputs.
    """

    side: str
    index: int
    id: str
    name: str
    dtype: str
    c_type: str
    shape: tuple[int, ...]
    elements: int
    quantization: Quantization | None
    golden: Values
    tolerance: float | None


def ends(deployment: Deployment) -> tuple[list[End], list[End]]:
    """The network's inputs and its outputs."""
    linked = self_test_vectors(deployment.golden)
    return (
        _ends("Input", deployment.inputs, linked.inputs),
        _ends("Output", deployment.outputs, linked.outputs),
    )


def self_test_vectors(golden: Golden) -> Golden:
    """As many golden vectors as the firmware can hold, at least one."""
    each = sum(values[0].nbytes for values in (*golden.inputs, *golden.outputs))
    return golden.first(_vectors(each))


def _vectors(each_bytes: int) -> int:
    return max(1, _SELF_TEST_BYTES // each_bytes)


def self_test_bytes(golden: Golden) -> int:
    """What those take in flash."""
    linked = self_test_vectors(golden)
    return sum(values.nbytes for values in (*linked.inputs, *linked.outputs))


def foreseen_test_bytes(graph: Graph, count: int) -> int:
    """The same for a network of which only the shapes are known, with so many golden vectors."""
    each = sum(graph.tensors[name].size_bytes for name in (*graph.inputs, *graph.outputs))
    return each * min(count, _vectors(each))


def pixel_table(deployment: Deployment) -> Values | None:
    """(channels, 256): the input for each pixel value; None without pictures or for a float one."""
    contract, source = deployment.preprocessing, deployment.inputs[0]
    if contract is None or source.quantization is None:
        return None
    table = contract.table()
    # A uint8 input is the int8 one plus 128: the same bits with the highest one flipped.
    return table.view(np.uint8) ^ np.uint8(128) if source.dtype is DType.UINT8 else table


def class_names(deployment: Deployment) -> list[str]:
    """A text a class: its label, or its number where nobody named it; empty without classes."""
    return list(deployment.labels or map(str, range(deployment.classes or 0)))


def _ends(side: str, tensors: tuple[Tensor, ...], golden: tuple[Values, ...]) -> list[End]:
    return [
        End(
            side=side,
            index=index,
            id=side if len(tensors) == 1 else f"{side}{index}",
            name=plain(tensor.name),
            dtype=tensor.dtype.value,
            c_type=c_type(tensor.dtype),
            shape=tensor.shape,
            elements=tensor.elements,
            quantization=tensor.quantization,
            golden=values,
            tolerance=_tolerance(values) if side == "Output" else None,
        )
        for index, (tensor, values) in enumerate(zip(tensors, golden, strict=True))
    ]


def _tolerance(values: Values) -> float | None:
    if values.dtype.kind != "f":
        return None
    finite = np.abs(values[np.isfinite(values)])
    return float(np.float32(_FLOAT_TOLERANCE * finite.max(initial=0.0)))
