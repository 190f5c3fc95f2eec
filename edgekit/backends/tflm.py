"""TFLite Micro: the model as a C array, exactly the ops it uses, its arena, and a self test.

A deployment enters; C++ sources, a CMake project and golden vectors leave. TensorFlow Lite Micro
itself is not part of them: the project finds it on the user's machine, and its README says that
nothing was compiled here.
"""

from __future__ import annotations

from typing import Any

from edgekit import __version__
from edgekit.backends.base import Deployment, Golden, golden_files, shared_files
from edgekit.emit.render import render
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


class TfliteMicro:
    """TFLite Micro on any 32-bit microcontroller."""

    name = "tflm"

    def check(self, deployment: Deployment) -> None:
        """Nothing if model and arena fit the board.

        Raises:
            DoesNotFitError: says by how many bytes and what weighs most.
        """
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


def op_names(deployment: Deployment) -> list[str]:
    """The ops the model uses, as MicroMutableOpResolver's Add functions name them, sorted."""
    return sorted({type(node.op).__name__ for node in deployment.graph.nodes})


def _values(deployment: Deployment) -> dict[str, Any]:
    quantization = deployment.output.quantization
    assert quantization is not None, "the graph of a deployment is int8"
    labels = deployment.labels or tuple(str(i) for i in range(deployment.classes))
    return {
        "name": deployment.title,
        "version": __version__,
        "board": deployment.board,
        "kernels": deployment.arena.build.kernels,
        "model": deployment.tflite,
        "ops": op_names(deployment),
        "arena": deployment.arena,
        "labels": labels,
        "p": deployment.preprocessing,
        "table": deployment.preprocessing.table() if deployment.preprocessing else None,
        "output_scale": quantization.scale,
        "output_zero_point": quantization.zero_point,
        "golden": self_test_vectors(deployment.golden),
        "fit": fit(deployment),
    }
