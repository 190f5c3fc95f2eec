"""The straight line: from what the user asked for to a bundle on disk, one call a stage.

A `Request` enters; a `Built` (the bundle's folder and its report) leaves. Every stage takes frozen
values and returns new ones; only the last writes output files. A network enters as an architecture,
an ONNX file or a TFLite file, and from there on takes the same way.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekit.backends import registry as backends
from edgekit.backends.base import Deployment
from edgekit.convert import onnx_graph
from edgekit.emit.bundle import claim
from edgekit.emulate.oracle import verify
from edgekit.graph.cost import graph_cost
from edgekit.graph.ir import Graph
from edgekit.graph.passes.headless import headless
from edgekit.models.cost import cost
from edgekit.models.spec import ModelSpec
from edgekit.plan.arena import ArenaPlan, plan_arena
from edgekit.plan.boards import Board
from edgekit.progress import Progress, silent
from edgekit.report.document import document
from edgekit.report.waterfall import waterfall
from edgekit.stages.diagnosis import diagnosed
from edgekit.stages.entry import Entry, contract_of, entry_name, from_file, resolve
from edgekit.stages.integer import to_integers
from edgekit.stages.lesson import lesson
from edgekit.stages.material import Material, gather
from edgekit.stages.measure import GOLDEN_SAMPLES, accuracy_on, gate, known_answers
from edgekit.stages.memory import placed
from edgekit.stages.repair import repaired
from edgekit.stages.request import Built, Request, board_for
from edgekit.stages.room import require_room
from edgekit.stages.weights import export, weights

__all__ = ["Built", "Request", "build"]


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
    backend, board = backends.get(request.target), board_for(request)
    material = gather(request, progress)
    spec = resolve(request, material)
    if spec is not None:
        require_room(request, spec, board)
    name = entry_name(request, spec)
    notices: list[str] = []
    with claim(request.output or Path("build") / f"{name}_{backend.name}") as place:
        entry = _enter(request, spec, material, name, clock, progress, notices)
        if entry.float_graph is not None:
            entry = replace(entry, float_graph=backend.suited(entry.float_graph))
        integer = to_integers(
            entry,
            material,
            softmax=not request.logits,
            clock=clock,
            progress=progress,
            calibration=request.calibration,
            converter=request.converter,
        )
        integer, climbed = repaired(request, entry, integer, material, clock, progress)
        diagnosis = diagnosed(request, integer, material, clock)
        with clock.stage("plan"):
            deployed = placed(request, entry, integer, board, backend.name)
            integer, arena = deployed.integer, deployed.arena
        with clock.stage("verify"):
            known, fidelity = known_answers(entry, integer, material, request.seed)
            verified = verify(integer.graph, integer.tflite, known.inputs, known.outputs)
        with clock.stage("evaluate"):
            accuracy = accuracy_on("test", request, entry, integer, material, progress)
            verdict = gate(request, entry, integer, material, progress)
        with clock.stage("bundle"):
            deployment = Deployment(
                name=name,
                graph=integer.graph,
                tflite=integer.tflite,
                onnx=entry.onnx,
                board=board,
                preprocessing=integer.contract,
                labels=None if request.embedding else material.labels,
                golden=known.first(GOLDEN_SAMPLES),
                arena=arena,
                ram_bytes=request.ram_bytes,
                provenance={
                    "model": dict(entry.described),
                    "weights": dict(entry.origin),
                    **material.provenance,
                    "preprocessing": integer.contract.to_json() if integer.contract else None,
                    "memory": {"arena_bytes": arena.arena_bytes, "ram_bytes": request.ram_bytes},
                    "folded": deployed.macs_before is not None,
                    "target": backend.name,
                    "board": board.id,
                    "seed": request.seed,
                    "embedding": request.embedding,
                    "gate": verdict.to_json() if verdict else None,
                },
                computed=deployed.computed,
            )
            backend.check(deployment)
            files = backend.files(deployment)
            if backend.name in ("tflm", "c"):  # elsewhere nobody has an arena
                files["memory.svg"] = _picture(name, deployed.computed, arena, board)
            if diagnosis:
                files["layers.svg"] = diagnosis.picture(name)
            notices += place.notices(files, backend.additions)
        report = document(
            described=entry.described,
            graph=integer.graph,
            tflite=integer.tflite,
            accuracy=accuracy,
            fidelity_db=fidelity,
            gate=verdict,
            verified=asdict(verified),
            arena=arena,
            target=backend.name,
            board=board,
            sections={
                **deployed.to_json(),
                **backend.report(deployment),
                **(climbed.to_json() if climbed else {}),
                **(diagnosis.to_json() if diagnosis else {}),
            },
            origin=entry.origin,
            warnings=(*material.notes, *notices, *integer.warnings),
            seconds=clock.seconds,
        )
        path = place.write(
            files,
            provenance=deployment.provenance,
            report=report,
            additions=backend.additions,
        )
    return Built(path, report)


def _picture(name: str, graph: Graph, arena: ArenaPlan, board: Board) -> bytes:
    """The memory plan as an SVG."""
    ram_bytes = board.arena_region.bytes if board.arena_region else None
    unplanned = plan_arena(graph, arena.build) if arena.build else None
    return waterfall(graph, arena, title=name, ram_bytes=ram_bytes, unplanned=unplanned).encode()


def _enter(
    request: Request,
    spec: ModelSpec | None,
    material: Material,
    name: str,
    clock: _Clock,
    progress: Progress,
    notices: list[str],
) -> Entry:
    """The network, by the door the user chose."""
    if request.model is not None:
        with clock.stage("convert"):
            return from_file(request, request.model, material, progress)
    assert spec is not None and material.dataset is not None  # `Request` and `gather` see to it
    contract = contract_of(request, spec, material)
    with clock.stage("train"):
        taught = lesson(request, material.dataset, contract, progress)
        weighted = weights(
            request, spec, material.dataset, contract, taught, progress, notices.append
        )
    with clock.stage("export"):
        onnx_model = export(weighted.module, spec, name, material.dataset, contract)
    with clock.stage("convert"):
        graph = onnx_graph.read(onnx_model)
    return Entry(
        name=name,
        described=_described(spec, graph, weighted.pruned),
        origin=weighted.origin,
        contract=contract,
        onnx=onnx_model,
        float_graph=headless(graph) if request.embedding else graph,
    )


def _described(spec: ModelSpec, graph: Graph, pruned: dict[str, Any] | None) -> dict[str, Any]:
    """The report's "model" section; of a pruned network, what it was before too."""
    whole = cost(spec)
    described = {**spec.to_json(), "params": whole.params, "macs": whole.macs}
    if pruned is None:
        return described
    macs = graph_cost(graph).macs
    section = {**pruned, "macs_before": whole.macs, "macs_after": macs}
    return {**described, "params": pruned["params_after"], "macs": macs, "pruned": section}
