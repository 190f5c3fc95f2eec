"""What every backend gets and gives: a frozen `Deployment` in, the files of a bundle out."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.format import read_array

from edgekit.emit.bundle import Bundle
from edgekit.errors import InputError
from edgekit.graph.ir import Graph, Tensor
from edgekit.plan.arena import ArenaPlan
from edgekit.plan.boards import Board
from edgekit.preprocessing import Preprocessing

MODEL_FILE = "model_int8.tflite"
ONNX_FILE = "model.onnx"
LABELS_FILE = "labels.txt"
GOLDEN_INPUT_FILE = "golden/input_{}.npy"  # one a graph input, counted from 0
GOLDEN_OUTPUT_FILE = "golden/output_{}.npy"
Values = npt.NDArray[Any]
# What could end a comment or a string in the files that mention the name.
_UNSAFE = re.compile(r"[^\w .,()+-]")


@dataclass(frozen=True, eq=False)
class Golden:
    """Inputs and the outputs that edgekit's integer arithmetic gives for them.

    Attributes:
        inputs: one array a graph input: n samples stacked in front of the tensor's full shape, so
            (n, 1, 96, 96, 3) for a tensor (1, 96, 96, 3), in the tensor's type.
        outputs: the same of the graph's outputs.
    """

    inputs: tuple[Values, ...]
    outputs: tuple[Values, ...]

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0])

    def first(self, count: int) -> Golden:
        """The first samples, all of them if there are not more."""
        return Golden(
            tuple(values[:count] for values in self.inputs),
            tuple(values[:count] for values in self.outputs),
        )


@dataclass(frozen=True, eq=False)
class Deployment:
    """Everything a backend may use.

    Attributes:
        name: of the model, for texts and file headers.
        graph: int8 or legacy uint8; its inputs and outputs, any number of them, may be float32.
        tflite: the same graph as a TFLite file.
        onnx: the float model it came from; None if it entered as .tflite.
        board: what it is deployed to.
        preprocessing: with the input's scale and zero point; None if the inputs are no pictures.
        labels: one a class; None if nobody named the classes, or there are none.
        golden: vectors for the self tests on the device.
        arena: TFLite Micro's arena, as predicted for the board.
        provenance: where everything came from, plain values.
    """

    name: str
    graph: Graph
    tflite: bytes
    onnx: bytes | None
    board: Board
    preprocessing: Preprocessing | None
    labels: tuple[str, ...] | None
    golden: Golden
    arena: ArenaPlan
    provenance: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The name, fit for comments, docstrings, Markdown and CMake."""
        return _UNSAFE.sub("_", self.name)

    @property
    def output(self) -> Tensor:
        """The scores."""
        return self.graph.tensors[self.graph.outputs[0]]

    @property
    def classes(self) -> int:
        """How many scores there are."""
        return self.output.elements


class Backend(Protocol):
    """A way to deploy. Its module in `backends/` bears its name and holds it as `BACKEND`."""

    name: str

    def check(self, deployment: Deployment) -> None:
        """Nothing if the deployment can work.

        Raises:
            DoesNotFitError: it needs more memory than the board has.
        """

    def files(self, deployment: Deployment) -> dict[str, bytes]:
        """The bundle, content by path; same deployment, same bytes."""

    def report(self, deployment: Deployment) -> dict[str, Any]:
        """What this backend adds to the report, plain values by section."""


def shared_files(deployment: Deployment) -> dict[str, bytes]:
    """What every bundle holds: the models and, where they have names, the labels."""
    files = {MODEL_FILE: deployment.tflite}
    if deployment.onnx is not None:
        files[ONNX_FILE] = deployment.onnx
    if deployment.labels is not None:
        files[LABELS_FILE] = ("\n".join(deployment.labels) + "\n").encode()
    return files


def golden_files(golden: Golden) -> dict[str, bytes]:
    """The golden vectors as NumPy files."""
    inputs = {GOLDEN_INPUT_FILE.format(i): _npy(values) for i, values in enumerate(golden.inputs)}
    outputs = {GOLDEN_OUTPUT_FILE.format(i): _npy(v) for i, v in enumerate(golden.outputs)}
    return inputs | outputs


def read_golden(bundle: Bundle) -> Golden:
    """The golden vectors of a bundle.

    Raises:
        InputError: they are missing or damaged.
    """
    return Golden(_stored(bundle, GOLDEN_INPUT_FILE), _stored(bundle, GOLDEN_OUTPUT_FILE))


def _stored(bundle: Bundle, pattern: str) -> tuple[Values, ...]:
    files = list(takewhile(bundle.__contains__, map(pattern.format, count())))
    if not files:
        raise InputError(f"The bundle {bundle.path} has no {pattern.format(0)}.")
    try:
        return tuple(
            read_array(io.BytesIO(bundle.read(file)), allow_pickle=False) for file in files
        )
    except ValueError as error:
        raise InputError(
            f"The golden vectors of the bundle {bundle.path} are no arrays."
        ) from error


def _npy(array: Values) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(array))
    return stream.getvalue()
