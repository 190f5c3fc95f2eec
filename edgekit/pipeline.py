"""The straight line: from what the user asked for to a bundle on disk, one call a stage.

A `Request` enters; a `Built` (the bundle's folder and its report) leaves. Every stage takes frozen
values and returns new ones; only the last writes output files. torch is imported by the stages that
need it, when they are reached.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgekit import data
from edgekit.backends import registry as backends
from edgekit.backends.base import Deployment, Golden
from edgekit.compress.align_input import align_input
from edgekit.compress.calibrate import Ranges, calibrate
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, tflite_writer
from edgekit.data import CalibrationRecipe, Dataset, Split, SplitName
from edgekit.emit.bundle import claim
from edgekit.emulate.oracle import verify
from edgekit.errors import UsageError
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.models import registry
from edgekit.models.layers import PaddingMode
from edgekit.models.spec import ModelSpec
from edgekit.plan import boards
from edgekit.plan.arena import build_for, plan_arena
from edgekit.plan.boards import Board
from edgekit.preprocessing import Preprocessing
from edgekit.progress import Progress, silent
from edgekit.report.accuracy import Accuracy
from edgekit.report.document import Gate, document
from edgekit.report.evaluate import evaluate

if TYPE_CHECKING:
    from torch import nn

_GOLDEN_IMAGES = 16  # test images whose exact outputs travel in the bundle
# Test images compared with TFLite Micro, whose reference kernels do some 10^9 MACs a second: fewer
# where a network is large, so that the comparison ends within seconds.
_VERIFIED_IMAGES, _VERIFIED_MACS = 200, 4_000_000_000
_CHECKED_IMAGES = 16  # validation images on which the ONNX model must equal the trained one
_TOGETHER = 32  # calibration images decoded at a time


@dataclass(frozen=True)
class Request:
    """What the user asked for; see `edgekit build --help` for each field.

    `target` names a backend; None for `board`, `resolution`, `data`, `epochs`, `threads` and
    `output` means the usual one.
    """

    arch: str
    target: str
    board: str | None = None
    alpha: float = 1.0
    rho: float = 1.0
    resolution: int | None = None
    data: str | None = None
    weights: Path | None = None
    padding: PaddingMode = "same"
    epochs: int | None = None
    threads: int | None = None
    seed: int = 0
    calibration_images: int = 200
    logits: bool = False
    max_drop: float | None = None
    retrain: bool = False
    resume: bool = False
    output: Path | None = None


@dataclass(frozen=True)
class Built:
    """The outcome: where the bundle is, and its report as plain values."""

    path: Path
    report: dict[str, Any]


@dataclass
class _Clock:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)


def build(request: Request, progress: Progress = silent) -> Built:
    """Build a bundle.

    Raises:
        EdgekitError: see `errors` for the kinds; no half-written bundle is left.
    """
    clock = _Clock()
    backend = backends.get(request.target)
    board = _board(request)
    dataset = data.load(request.data, seed=request.seed)
    spec = registry.resolve(
        request.arch,
        request.alpha,
        request.rho,
        request.resolution,
        len(dataset.labels),
        request.padding,
    )
    samples = data.calibration_recipe(
        dataset.splits["calibration"], request.calibration_images, request.seed
    )
    contract = _contract(request, spec, dataset)
    notices: list[str] = []
    output = request.output or Path("build") / f"{_name(spec)}_{backend.name}"
    with claim(output) as place:
        with clock.stage("train"):
            module, training = _weights(request, spec, dataset, contract, progress, notices.append)
        with clock.stage("export"):
            onnx_model = _export(module, spec, dataset, contract)
        with clock.stage("convert"):
            float_graph, deployed = align_input(onnx_graph.read(onnx_model), contract)
        with clock.stage("calibrate"):
            ranges = _calibrate(
                float_graph, dataset.splits["calibration"], samples, deployed, progress
            )
        with clock.stage("quantize"):
            graph, deployed = _quantize(float_graph, ranges, deployed, softmax=not request.logits)
        with clock.stage("write"):
            tflite = tflite_writer.write(graph)
        with clock.stage("verify"):
            known = _known_answers(graph, dataset.splits["test"], deployed)
            verified = verify(tflite, known.inputs[0][:, 0], known.outputs[0][:, 0])
        with clock.stage("evaluate"):

            def measure(split: SplitName) -> Accuracy:
                return evaluate(
                    onnx_model,
                    graph,
                    dataset.splits[split],
                    contract,
                    deployed,
                    split=split,
                    labels=dataset.labels,
                    threads=request.threads or os.cpu_count() or 1,
                    progress=progress,
                )

            accuracy = measure("test")
            gate = _gate(request.max_drop, measure)
        with clock.stage("bundle"):
            deployment = Deployment(
                name=_name(spec),
                graph=graph,
                tflite=tflite,
                onnx=onnx_model,
                board=board,
                preprocessing=deployed,
                labels=dataset.labels,
                golden=known.first(_GOLDEN_IMAGES),
                arena=plan_arena(graph, build_for(board)),
                provenance={
                    "model": spec.to_json(),
                    "training": training,
                    "data": dict(dataset.provenance),
                    "calibration": samples.to_json(),
                    "preprocessing": deployed.to_json(),
                    "target": backend.name,
                    "board": board.id,
                    "seed": request.seed,
                    "gate": gate.to_json() if gate else None,
                },
            )
            backend.check(deployment)
            files = backend.files(deployment)
        report = document(
            spec=spec,
            graph=graph,
            tflite=tflite,
            accuracy=accuracy,
            gate=gate,
            verified=asdict(verified),
            arena=deployment.arena,
            target=backend.name,
            board=board,
            sections=backend.report(deployment),
            training=training,
            warnings=(*dataset.notes, *ranges.warnings, *notices),
            seconds=clock.seconds,
        )
        path = place.write(files, provenance=deployment.provenance, report=report)
    return Built(path, report)


def _board(request: Request) -> Board:
    """The board asked for, which must be one of the target's, or the target's usual one."""
    if request.board is None:
        return boards.default_for(request.target)
    board = boards.load(request.board)
    if board.backend != request.target:
        fitting = ", ".join(board.id for board in boards.for_backend(request.target))
        raise UsageError(
            f"Board '{board.id}' takes {board.backend} bundles, not {request.target}.",
            hint=f"Boards for {request.target}: {fitting}.",
        )
    return board


def _name(spec: ModelSpec) -> str:
    return f"{spec.arch}_{spec.alpha}_{spec.resolution}"


def _contract(request: Request, spec: ModelSpec, dataset: Dataset) -> Preprocessing:
    """The data set's own preprocessing; published weights bring the mean they were trained with."""
    contract = dataset.preprocessing(spec.resolution, spec.resolution)
    return replace(contract, mean=spec.mean, std=spec.std) if request.weights else contract


def _weights(
    request: Request,
    spec: ModelSpec,
    dataset: Dataset,
    contract: Preprocessing,
    progress: Progress,
    notice: Callable[[str], None],
) -> tuple[nn.Module, dict[str, Any]]:
    """The module with trained or loaded weights, and where they came from."""
    from edgekit.models.module import build, load_weights
    from edgekit.training.recipe import Recipe
    from edgekit.training.train import train

    module = build(spec)
    if request.weights:
        notice(load_weights(module, request.weights))
        digest = hashlib.sha256(request.weights.read_bytes()).hexdigest()
        return module, {"source": "weights", "file": request.weights.name, "sha256": digest}
    recipe = Recipe(epochs=request.epochs, seed=request.seed)
    trained = train(
        spec,
        dataset,
        contract,
        recipe,
        threads=request.threads,
        retrain=request.retrain,
        resume=request.resume,
        progress=progress,
        notice=notice,
    )
    module.load_state_dict(trained.state)
    return module, {
        "source": "trained",
        "recipe": recipe.to_json(),
        "epochs": len(trained.history),
        "images": trained.images,
    }


def _export(module: nn.Module, spec: ModelSpec, dataset: Dataset, contract: Preprocessing) -> bytes:
    """The ONNX model, compared with the module on real pictures."""
    from edgekit.convert import torch_onnx

    onnx_model = torch_onnx.export(module, spec.input_shape, _name(spec))
    pixels = _first(dataset.splits["validation"], _CHECKED_IMAGES, contract)
    torch_onnx.check(onnx_model, module, contract.normalize(pixels).transpose(0, 3, 1, 2))
    return onnx_model


def _first(split: Split, count: int, contract: Preprocessing) -> npt.NDArray[np.uint8]:
    return split.pixels(np.arange(min(count, len(split))), contract)


def _calibrate(
    graph: Graph,
    split: Split,
    samples: CalibrationRecipe,
    contract: Preprocessing,
    progress: Progress,
) -> Ranges:
    def batches() -> Iterator[npt.NDArray[np.float32]]:
        for start in range(0, samples.count, _TOGETHER):
            chosen = samples.indices[start : start + _TOGETHER]
            yield contract.normalize(split.pixels(chosen, contract))
            progress("calibrate", min(start + _TOGETHER, samples.count), samples.count)

    return calibrate(graph, batches())


def _quantize(
    graph: Graph, ranges: Ranges, contract: Preprocessing, *, softmax: bool
) -> tuple[Graph, Preprocessing]:
    """The int8 graph, and the contract with its input's scale and zero point."""
    ends = contract.normalize(np.array([[0], [255]], np.uint8).repeat(contract.channels, axis=1))
    integer = quantize(
        graph, ranges, softmax=softmax, input_range=(float(ends.min()), float(ends.max()))
    )
    quantization = integer.tensors[integer.inputs[0]].quantization
    assert quantization is not None  # `quantize` gives every activation one
    return integer, contract.quantized(quantization.scale, quantization.zero_point)


def _gate(max_drop: float | None, measure: Callable[[SplitName], Accuracy]) -> Gate | None:
    """The gate's verdict; on the validation split, so that the test split decides nothing."""
    if max_drop is None:
        return None
    return Gate("validation", max_drop, measure("validation").drop)


def _known_answers(graph: Graph, split: Split, contract: Preprocessing) -> Golden:
    """Test pictures, which never went into training or calibration, with the exact outputs."""
    count = min(_VERIFIED_IMAGES, max(2, _VERIFIED_MACS // max(1, graph_cost(graph).macs)))
    inputs = contract.quantize(_first(split, count, contract))
    (outputs,) = run(graph, [inputs])
    return Golden((inputs[:, None],), (outputs.astype(np.int8, copy=False)[:, None],))
