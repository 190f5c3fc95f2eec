"""TFLite Micro: the model as a C array, exactly the ops it uses, its arena, and a self test.

A deployment enters; C++ sources, a CMake project and golden vectors leave. TensorFlow Lite Micro
itself is not part of them: the project finds it on the user's machine, and its README says that
nothing was compiled here. Refused: ops and element types that TensorFlow Lite Micro has no kernels
for, models that do not fit the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.backends.base import (
    Deployment,
    Golden,
    Values,
    ends_table,
    golden_files,
    shared_files,
)
from edgekit.emit.render import render
from edgekit.emit.text import plain
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.plan.fit import Fit, judge

_TEMPLATES = (
    "model_data.h",
    "model_data.cc",
    "op_resolver.h",
    "model_settings.h",
    "golden_vectors.h",
    "main.cc",
    "CMakeLists.txt",
    "README.md",
)
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
        tolerance: how far an output may be from those; None for exact ones and for inputs.
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


class TfliteMicro:
    """TFLite Micro on any 32-bit microcontroller."""

    name = "tflm"
    additions: Mapping[str, str] = {}

    def suited(self, graph: Graph) -> Graph:
        """As it is."""
        return graph

    def check(self, deployment: Deployment) -> None:
        """Nothing if TFLite Micro can run the model, and model and arena fit the board.

        Raises:
            UnsupportedError: names the first op that TFLite Micro has no kernel for.
            DoesNotFitError: says by how many bytes and what weighs most.
        """
        for node in deployment.graph.nodes:
            _require_kernel(deployment.graph, node)
        fit(deployment).require()

    def files(self, deployment: Deployment) -> dict[str, bytes]:
        """The bundle."""
        values = _values(deployment)
        sources = {name: render(f"{self.name}/{name}", values) for name in _TEMPLATES}
        return {**shared_files(deployment), **golden_files(deployment.golden), **sources}

    def report(self, deployment: Deployment) -> dict[str, Any]:
        """RAM and flash, itemised."""
        return {"fit": fit(deployment).to_json()}


BACKEND = TfliteMicro()


def fit(deployment: Deployment) -> Fit:
    """The verdict on the board's memory."""
    linked = self_test_vectors(deployment.golden)
    return judge(
        deployment.board,
        deployment.graph,
        len(deployment.tflite),
        deployment.arena,
        test_bytes=sum(values.nbytes for values in (*linked.inputs, *linked.outputs)),
    )


def self_test_vectors(golden: Golden) -> Golden:
    """As many golden vectors as the firmware can hold, at least one."""
    each = sum(values[0].nbytes for values in (*golden.inputs, *golden.outputs))
    return golden.first(max(1, _SELF_TEST_BYTES // each))


def op_names(graph: Graph) -> list[str]:
    """The ops a graph uses, as MicroMutableOpResolver's Add functions name them, sorted."""
    return sorted({type(node.op).__name__ for node in graph.nodes})


def _require_kernel(graph: Graph, node: Node) -> None:
    """TFLite Micro has kernels for all ops that edgekit computes, but uint8 only in QUANTIZE."""
    where = f"'{plain(node.name)}' ({plain(node.op.tflite_name)})"
    if isinstance(node.op, ops.Opaque):
        raise UnsupportedError(f"Node {where} is an op that edgekit has no kernel for.")
    tensors = (*graph.inputs_of(node), *graph.outputs_of(node))
    if not isinstance(node.op, ops.Quantize) and any(t.dtype is DType.UINT8 for t in tensors):
        raise UnsupportedError(
            f"Node {where} computes with uint8, which TensorFlow Lite Micro has no kernels for.",
            hint="Take an int8 version of the network; this one runs on the targets rpi and coral.",
        )


def _values(deployment: Deployment) -> dict[str, Any]:
    linked = self_test_vectors(deployment.golden)
    inputs = _ends("Input", deployment.inputs, linked.inputs)
    outputs = _ends("Output", deployment.outputs, linked.outputs)
    contract = deployment.preprocessing
    return {
        "name": deployment.title,
        "version": __version__,
        "board": deployment.board,
        "kernels": deployment.arena.build.kernels,
        "model": deployment.tflite,
        "ops": op_names(deployment.graph),
        "arena": deployment.arena,
        "inputs": inputs,
        "outputs": outputs,
        "ends_table": ends_table(deployment),
        "has_scales": any(end.quantization for end in inputs + outputs),
        "has_floats": any(end.c_type == "float" for end in inputs + outputs),
        "has_float_outputs": any(end.tolerance is not None for end in outputs),
        "has_exact_outputs": any(end.tolerance is None for end in outputs),
        "has_classes": deployment.classes is not None,
        "classes": deployment.classes,
        "labels": deployment.labels or [str(i) for i in range(deployment.classes or 0)],
        "p": contract,
        "table": _pixel_table(deployment),
        "mean": np.array(contract.mean if contract else (), np.float32),
        "deviation": np.array(contract.std if contract else (), np.float32),
        "golden_count": len(linked),
        "golden_total": len(deployment.golden),
        "fit": fit(deployment),
    }


def _ends(side: str, tensors: tuple[Tensor, ...], golden: tuple[Values, ...]) -> list[End]:
    return [
        End(
            side=side,
            index=index,
            id=side if len(tensors) == 1 else f"{side}{index}",
            name=plain(tensor.name),
            dtype=tensor.dtype.value,
            c_type=_c_type(tensor.dtype),
            shape=tensor.shape,
            elements=tensor.elements,
            quantization=tensor.quantization,
            golden=values,
            tolerance=_tolerance(values) if side == "Output" else None,
        )
        for index, (tensor, values) in enumerate(zip(tensors, golden, strict=True))
    ]


def _c_type(dtype: DType) -> str:
    plain_types = {DType.FLOAT32: "float", DType.BOOL: "bool"}
    return plain_types.get(dtype) or f"{dtype.value}_t"


def _tolerance(values: Values) -> float | None:
    if values.dtype.kind != "f":
        return None
    finite = np.abs(values[np.isfinite(values)])
    return float(np.float32(_FLOAT_TOLERANCE * finite.max(initial=0.0)))


def _pixel_table(deployment: Deployment) -> Values | None:
    """(channels, 256): the input for each pixel value; None without pictures or for a float one."""
    contract, source = deployment.preprocessing, deployment.inputs[0]
    if contract is None or source.quantization is None:
        return None
    table = contract.table()
    # A uint8 input is the int8 one plus 128: the same bits with the highest one flipped.
    return table.view(np.uint8) ^ np.uint8(128) if source.dtype is DType.UINT8 else table
