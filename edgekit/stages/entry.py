"""Where a network enters the line: as an architecture, an ONNX file, or a TFLite file.

A request and its material enter; an `Entry` leaves: the float network and its preprocessing, or,
from a TFLite file, the integer graph itself with the file's own bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekit.compress.pruning.rule import Target
from edgekit.convert import onnx_graph, tflite_reader
from edgekit.convert.onnx_check import check_against_onnxruntime
from edgekit.convert.tflite_model import mirrors
from edgekit.errors import EdgekitError, InputError, UnsupportedError, UsageError
from edgekit.graph import ops
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import DType, Graph, Tensor
from edgekit.graph.passes.headless import headless
from edgekit.graph.verify import describe
from edgekit.models import registry
from edgekit.models.spec import ModelSpec
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress
from edgekit.stages.material import Material
from edgekit.stages.pretrained import padding_of, trained_with
from edgekit.stages.request import Request, Training

_CHECKED_SAMPLES = 8  # on which the float graph must equal onnxruntime
_DEFAULT_MEAN = 127.5
# Ops that may have float outputs in an integer network: they do no arithmetic that could differ.
_AT_THE_BORDER = (
    ops.Dequantize,
    ops.Reshape,
    ops.Squeeze,
    ops.ExpandDims,
    ops.Transpose,
    ops.Split,
    ops.Concatenation,
    ops.Pad,
)


@dataclass(frozen=True, eq=False)
class Entry:
    """A network at the door of the integer stage.

    Attributes:
        name: for files, folders and messages.
        described: the report's "model" section.
        origin: where the weights came from, plain values.
        contract: how pictures become the float network's input; None if it reads no pictures.
        onnx: the float model; None if it entered as .tflite.
        float_graph: the same as a graph; None if it entered as .tflite.
        ready: the integer graph of a .tflite; else None.
        tflite: that file's bytes; None where it is written anew, see `convert.tflite_model`.
    """

    name: str
    described: Mapping[str, Any]
    origin: Mapping[str, Any]
    contract: Preprocessing | None
    onnx: bytes | None = None
    float_graph: Graph | None = None
    ready: Graph | None = None
    tflite: bytes | None = None


def entry_name(request: Request, spec: ModelSpec | None) -> str:
    """What the model is called in files and folders: as its network, or the file's stem."""
    if spec is not None:
        return network_name(request, spec)
    assert request.model is not None  # `Request` holds one of the two
    return request.model.stem


def network_name(request: Training, spec: ModelSpec) -> str:
    """ARCH_ALPHA_RESOLUTION, how it was scaled, and what was pruned."""
    scaled = f"_phi{spec.phi:g}" if spec.phi is not None else ""
    return f"{spec.arch}{scaled}_{spec.alpha}_{spec.resolution}{_pruned(request)}"


def _pruned(request: Training) -> str:
    if request.prune_to is not None:
        return f"_pruned_{Target.parse(request.prune_to)}"
    return f"_pruned{request.prune:g}" if request.prune is not None else ""


def resolve(request: Training, material: Material) -> ModelSpec | None:
    """The architecture asked for, at the data's number of classes; None for a ready model.

    Raises:
        UsageError, InputError, MissingToolError: see `registry.resolve`, `pretrained.padding_of`.
    """
    if request.arch is None or material.dataset is None:
        return None
    return registry.resolve(
        request.arch,
        request.alpha,
        request.rho,
        request.resolution,
        len(material.dataset.labels),
        request.padding or padding_of(request.weights, registry.get(request.arch)),
        request.phi,
    )


def from_file(request: Request, path: Path, material: Material, progress: Progress) -> Entry:
    """Enter with somebody's .onnx or .tflite.

    Raises:
        InputError: the file cannot be read or is corrupt.
        UnsupportedError: it uses what edgekit does not convert.
        UsageError: another kind of file, or nothing to calibrate an ONNX model with.
        VerificationError: the converted graph does not compute what onnxruntime does.
    """
    if path.suffix not in (".onnx", ".tflite"):
        raise UsageError(
            f"'{path.suffix}' is no model that --model takes ({path}).",
            hint="Give .onnx or .tflite.",
        )
    content, graph, tflite = _read(path)
    origin = {"source": "file", "file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
    contract = _contract_of_file(request, graph, material)
    common = Entry(path.stem, _described(graph), origin, contract)
    network = headless(graph) if request.embedding else graph
    if path.suffix == ".tflite":
        _require_integers(path, graph)
        return replace(common, ready=network, tflite=tflite if network is graph else None)
    if material.is_empty:
        raise UsageError(
            "An ONNX model needs data to calibrate its integer ranges.",
            hint="Give pictures (--data FOLDER) or arrays (--samples X.npy).",
        )
    first = next(iter(material.batches(contract, progress)))[:_CHECKED_SAMPLES]
    check_against_onnxruntime(content, graph, first)
    return replace(common, onnx=content, float_graph=network)


def _read(path: Path) -> tuple[bytes, Graph, bytes | None]:
    """The file's bytes, its graph, and a .tflite file's bytes if they may travel as they are.

    Errors begin with the file's name.
    """
    tflite = None
    try:
        content = path.read_bytes()
        if path.suffix == ".tflite":
            graph = tflite_reader.read(content)
            tflite = content if mirrors(content, graph) else None
        else:
            graph = onnx_graph.read(path)
    except OSError as error:
        raise InputError(f"The model {path} cannot be read: {error.strerror}.") from error
    except EdgekitError as error:
        raise type(error)(f"{path}: {error}", hint=error.hint) from error
    return content, graph, tflite


def _require_integers(path: Path, graph: Graph) -> None:
    """Refuse a network that computes with floats; at its border it may have some."""
    for node in graph.nodes:
        computes = not isinstance(node.op, _AT_THE_BORDER)
        if computes and graph.tensors[node.outputs[0]].dtype is DType.FLOAT32:
            raise UnsupportedError(
                f"{path}: {describe(node)} computes with float32; a .tflite file must hold an "
                "integer network.",
                hint="Give the float network as .onnx, which edgekit quantizes, or quantize all "
                "of it to int8 where it was converted.",
            )


def _described(graph: Graph) -> dict[str, Any]:
    cost = graph_cost(graph)
    source, output = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    return {
        "arch": graph.name,
        "alpha": None,
        "rho": None,
        "resolution": source.shape[1] if _could_be_picture(source) else None,
        "classes": output.elements,
        "inputs": [list(graph.tensors[name].shape) for name in graph.inputs],
        "params": cost.parameters,
        "macs": cost.macs,
    }


def _could_be_picture(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and tensor.shape[0] == 1 and tensor.shape[3] in (1, 3)


def _contract_of_file(request: Request, graph: Graph, material: Material) -> Preprocessing | None:
    """How pictures enter somebody's network; None where it reads none.

    Nothing in the file says so. What the user gives decides; without data, one input of three
    channels is taken for a picture. A quantized input reads `pixel - 128`, a float one
    (pixel - 127.5) / 127.5, unless --mean and --std say otherwise.
    """
    source = graph.tensors[graph.inputs[0]]
    pictures = material.dataset is not None or (
        material.is_empty
        and len(graph.inputs) == 1
        and _could_be_picture(source)
        and source.shape[3] == 3
    )
    if not pictures:
        return None
    if len(graph.inputs) != 1 or not _could_be_picture(source):
        raise UsageError(
            f"The model reads {source.shape}, which is no picture of one or three channels.",
            hint="Give its input as arrays: --samples X.npy.",
        )
    channels = source.shape[3]
    mean = std = _DEFAULT_MEAN
    if source.quantization is not None and source.dtype in (DType.INT8, DType.UINT8):
        # real = scale * (pixel - 128 - zero point), whatever range the scale gives it
        offset = 128 if source.dtype is DType.INT8 else 0
        mean = float(source.quantization.zero_point + offset)
        std = 1.0 / source.quantization.scale
    return Preprocessing(
        height=source.shape[1],
        width=source.shape[2],
        color="L" if channels == 1 else request.color or "RGB",
        resize=request.resize or "center_crop",
        mean=_each(request.mean, (mean,), channels, "--mean"),
        std=_each(request.std, (std,), channels, "--std"),
    )


def _each(
    given: tuple[float, ...] | None, usual: tuple[float, ...], channels: int, option: str
) -> tuple[float, ...]:
    """One value a channel: those given, one for all, or the usual ones."""
    values = given or usual
    if len(values) not in (1, channels):
        raise UsageError(f"{option} takes 1 or {channels} numbers, not {len(values)}.")
    return values if len(values) == channels else values * channels


def contract_of(request: Training, spec: ModelSpec, material: Material) -> Preprocessing:
    """An architecture's contract: that of its weights where they say, else the data set's.

    Published weights say nothing; they bring their architecture's own mean.
    """
    assert material.dataset is not None  # an architecture always comes with a data set
    usual = material.dataset.preprocessing(spec.resolution, spec.resolution)
    if request.weights:
        usual = trained_with(request.weights, spec) or replace(usual, mean=spec.mean, std=spec.std)
    return replace(
        usual,
        mean=_each(request.mean, usual.mean, usual.channels, "--mean"),
        std=_each(request.std, usual.std, usual.channels, "--std"),
        color=request.color or usual.color,
        resize=request.resize or usual.resize,
    )
