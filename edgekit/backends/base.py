"""What every backend gets and gives: a frozen `Deployment` in, the files of a bundle out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from numpy.lib.format import read_array

from edgekit.emit.bundle import Bundle
from edgekit.emit.text import plain, single_line
from edgekit.errors import InputError
from edgekit.graph.ir import Graph, Tensor
from edgekit.graph.scores import ends_in_softmax
from edgekit.plan.arena import ArenaPlan
from edgekit.plan.boards import Board
from edgekit.preprocessing import Preprocessing

MODEL_FILE = "model_int8.tflite"
ONNX_FILE = "model.onnx"
LABELS_FILE = "labels.txt"
GOLDEN_INPUT_FILE = "golden/input_{}.npy"  # one a graph input, counted from 0
GOLDEN_OUTPUT_FILE = "golden/output_{}.npy"
Values = npt.NDArray[Any]


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
        labels: one a class of the first output; None if nobody named them, or there are none.
        golden: vectors for the self tests on the device.
        arena: TFLite Micro's arena, as predicted for the board; for the target c the program's own.
        provenance: where everything came from, plain values.
        computed: what a generated program computes, the graph without the channels that cannot
            change its outputs; None is the graph itself.
        ram_bytes: for the target c: see `plan.striping.plan_program`.

    Raises:
        InputError: there are more or fewer labels than classes.
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
    computed: Graph | None = None
    ram_bytes: int | None = None

    def __post_init__(self) -> None:
        scores = self.outputs[0]
        if self.labels is not None and len(self.labels) != scores.elements:
            raise InputError(
                f"There are {len(self.labels)} labels, but output '{scores.name}' has "
                f"{scores.elements} values."
            )

    @property
    def title(self) -> str:
        """The name, fit for comments, docstrings, Markdown and CMake."""
        return plain(self.name)

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What the network reads."""
        return tuple(self.graph.tensors[name] for name in self.graph.inputs)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """What the network writes."""
        return tuple(self.graph.tensors[name] for name in self.graph.outputs)

    @property
    def classes(self) -> int | None:
        """How many classes the first output scores: it has labels, or ends in a softmax.

        None if it scores none: features, a signal, a map.
        """
        scores = self.outputs[0]
        if self.labels is not None or ends_in_softmax(self.graph):
            return scores.elements
        return None


class Backend(Protocol):
    """A way to deploy. Its module in `backends/` bears its name and holds it as `BACKEND`."""

    name: str
    additions: Mapping[str, str]
    """Files that its README asks the user to add, each with the file it is made from."""
    multiple: int
    """Its kernels compute so many channels together: pruned layers keep multiples of it."""

    def suited(self, graph: Graph) -> Graph:
        """A float graph in the ops that the target computes best: mostly the graph itself."""

    def check(self, deployment: Deployment) -> None:
        """Nothing if the deployment can work.

        Raises:
            UnsupportedError: the target cannot compute the graph.
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
        lines = [single_line(label) + "\n" for label in deployment.labels]
        files[LABELS_FILE] = "".join(lines).encode(errors="replace")
    return files


def ends_table(deployment: Deployment) -> str:
    """The inputs and outputs as a Markdown table."""
    rows = [("in", tensor) for tensor in deployment.inputs]
    rows += [("out", tensor) for tensor in deployment.outputs]
    lines = ["| | name | type | shape | real value |", "|---|---|---|---|---|"]
    for side, tensor in rows:
        shape = "x".join(map(str, tensor.shape)) or "one value"
        meaning = _real_value(tensor)
        name = plain(tensor.name)
        lines.append(f"| {side} | `{name}` | {tensor.dtype.value} | {shape} | {meaning} |")
    return "\n".join(lines)


def _real_value(tensor: Tensor) -> str:
    if tensor.quantization is None:
        return "value"
    scale, zero_point = tensor.quantization.scale, tensor.quantization.zero_point
    return f"{scale} * (value {'-' if zero_point > 0 else '+'} {abs(zero_point)})"


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
