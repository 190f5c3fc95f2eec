"""A compiled firmware, from a bundle of the target c or from a model and a board.

A folder or a `.tflite` enters; a `Firmware` leaves, ready for an emulated chip. Refused: bundles
whose sources are not what this version of edgekit writes for their model, as their arena would be
read at the wrong places.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgekit.backends import c
from edgekit.backends.base import Deployment, Golden
from edgekit.emit.bundle import Bundle
from edgekit.emit.c_program import c_program
from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.chip.image import read_image
from edgekit.emulate.firmware import compile_bundle
from edgekit.emulate.samples import random_samples, reference_outputs
from edgekit.emulate.toolchain import for_core
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph.ir import Graph
from edgekit.graph.passes.folding import fold
from edgekit.lower.isa import Isa
from edgekit.lower.program import Program
from edgekit.plan.boards import Board
from edgekit.plan.static_memory import StaticMemory, arena_plan
from edgekit.plan.striping import plan_program

_ELF = "self_test.elf"


def of_bundle(bundle: Bundle, graph: Graph, board: Board, compiler: str | None) -> Firmware:
    """The firmware of a c bundle, compiled from its own files.

    Args:
        bundle: opened, its files checked; its manifest says whether its program is folded.
        graph: its model's.
        board: that it is for.
        compiler: see `toolchain.for_core`.

    Raises:
        InputError: its sources are not this version's.
        MissingToolError: no compiler is installed.
        EdgekitError: shows what the compiler said.
    """
    computed = fold(graph) if bundle.provenance.get("folded") is True else graph
    plan = plan_program(computed, Isa.of(board.core), _ram_bytes(bundle))
    program, memory = plan.program, plan.memory
    for name, content in c_program(program, memory).items():
        if name not in bundle or bundle.read(name) != content:
            raise InputError(
                f"{bundle.path / name} is not what this version of edgekit writes.",
                hint="Build the bundle again.",
            )
    return _compiled(bundle.path, board, (graph, computed), program, memory, compiler)


def _ram_bytes(bundle: Bundle) -> int | None:
    """What the bundle was planned for."""
    memory = bundle.provenance.get("memory")
    found = memory.get("ram_bytes") if isinstance(memory, Mapping) else None
    return found if isinstance(found, int) else None


def of_model(
    name: str,
    graph: Graph,
    tflite: bytes,
    board: Board,
    compiler: str | None,
    seed: int = 0,
    *,
    folds: bool = True,
    ram_bytes: int | None = None,
) -> Firmware:
    """The firmware that a c bundle of this model would hold, with one random golden vector.

    Args:
        name: of the model.
        graph, tflite: the model.
        board: that it is for.
        compiler: see `toolchain.for_core`.
        seed: of the golden vector.
        folds: leave out what cannot change the outputs.
        ram_bytes: see `plan_program`.

    Raises:
        UnsupportedError: the board takes no C programs, or an op has no kernel.
        DoesNotFitError: it needs more memory than the board has.
        MissingToolError: no compiler is installed.
        EdgekitError: shows what the compiler said.
    """
    if c.BACKEND.name not in board.backends:
        raise UnsupportedError(
            f"The board {board.id} takes no C programs.",
            hint="`edgekit boards` shows which do: those with the target c.",
        )
    computed = fold(graph) if folds else graph
    plan = plan_program(computed, Isa.of(board.core), ram_bytes)
    program, memory = plan.program, plan.memory
    inputs = random_samples(graph, 1, seed)
    deployment = Deployment(
        name=name,
        graph=graph,
        tflite=tflite,
        onnx=None,
        board=board,
        preprocessing=None,
        labels=None,
        golden=Golden(inputs, reference_outputs(graph, inputs)),
        arena=arena_plan(program, memory),
        provenance={},
        computed=computed,
        ram_bytes=ram_bytes,
    )
    c.BACKEND.check(deployment)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        for path, content in c.sources(deployment).items():
            (Path(folder) / path).write_bytes(content)
        return _compiled(Path(folder), board, (graph, computed), program, memory, compiler)


def _compiled(
    sources: Path,
    board: Board,
    graphs: tuple[Graph, Graph],
    program: Program,
    memory: StaticMemory,
    compiler: str | None,
) -> Firmware:
    """Args: graphs: the model's, and the one that is computed."""
    toolchain = for_core(board.core, board.features, compiler)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        elf = Path(folder) / _ELF
        compile_bundle(sources, elf, toolchain)
        image = read_image(elf.read_bytes())
    sources_of_network = c_program(program, memory)
    return Firmware(board, *graphs, program, memory, sources_of_network, image, toolchain)
