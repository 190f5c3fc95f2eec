"""TFLite Micro: the model as a C array, exactly the ops it uses, its arena, and a self test.

A deployment enters; C++ sources, a CMake project and golden vectors leave. TensorFlow Lite Micro
itself is not part of them: the project finds it on the user's machine, and its README says that
nothing was compiled here. Refused: ops and element types that TensorFlow Lite Micro has no kernels
for, models that do not fit the board.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.backends.base import Deployment, ends_table, golden_files, shared_files
from edgekit.backends.firmware import class_names, ends, pixel_table, self_test_bytes
from edgekit.emit.render import render
from edgekit.emit.text import plain
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.legacy import uint8_node
from edgekit.plan.arena import build_for
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


class TfliteMicro:
    """TFLite Micro on any 32-bit microcontroller."""

    name = "tflm"
    additions: Mapping[str, str] = {}
    multiple = 8

    def suited(self, graph: Graph) -> Graph:
        """As it is."""
        return graph

    def check(self, deployment: Deployment) -> None:
        """Nothing if TFLite Micro can run the model, and model and arena fit the board.

        Raises:
            UnsupportedError: names the first op that TFLite Micro has no kernel for.
            DoesNotFitError: says by how many bytes and what weighs most.
        """
        _require_kernels(deployment.graph)
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
    return judge(
        deployment.board,
        deployment.graph,
        len(deployment.tflite),
        deployment.arena,
        test_bytes=self_test_bytes(deployment.golden),
    )


def op_names(graph: Graph) -> list[str]:
    """The ops a graph uses, as MicroMutableOpResolver's Add functions name them, sorted."""
    return sorted({type(node.op).__name__ for node in graph.nodes})


def _require_kernels(graph: Graph) -> None:
    """TFLite Micro has kernels for all ops that edgekit computes, but uint8 only in QUANTIZE."""
    for node in graph.nodes:
        if isinstance(node.op, ops.Opaque):
            raise UnsupportedError(f"Node {_named(node)} is an op that edgekit has no kernel for.")
    legacy = uint8_node(graph)
    if legacy is not None:
        raise UnsupportedError(
            f"Node {_named(legacy)} computes with uint8, which TensorFlow Lite Micro has no "
            "kernels for.",
            hint="Take an int8 version of the network; this one runs on the targets rpi and coral.",
        )


def _named(node: Node) -> str:
    return f"'{plain(node.name)}' ({plain(node.op.tflite_name)})"


def _values(deployment: Deployment) -> dict[str, Any]:
    inputs, outputs = ends(deployment)
    contract = deployment.preprocessing
    return {
        "name": deployment.title,
        "version": __version__,
        "board": deployment.board,
        "kernels": build_for(deployment.board).kernels,
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
        "labels": class_names(deployment),
        "p": contract,
        "table": pixel_table(deployment),
        "mean": np.array(contract.mean if contract else (), np.float32),
        "deviation": np.array(contract.std if contract else (), np.float32),
        "golden_count": len(inputs[0].golden),
        "golden_total": len(deployment.golden),
        "fit": fit(deployment),
    }
