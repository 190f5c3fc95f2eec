"""Firmware for tests: small networks compiled for a board, their sources changed if asked for."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgekit.backends import c
from edgekit.emit.c_program import c_program
from edgekit.emulate.chip import qemu_chip
from edgekit.emulate.chip.firmware import Firmware
from edgekit.emulate.chip.image import read_image
from edgekit.emulate.firmware import compile_bundle
from edgekit.emulate.toolchain import for_core
from edgekit.errors import MissingToolError
from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.plan import boards
from edgekit.plan.static_memory import arena_plan, plan_memory

from .deployments import bare_deployment
from .graphs import convnet

needs_qemu = pytest.mark.skipif(
    shutil.which(qemu_chip.PROGRAM) is None,
    reason="QEMU is not installed (Debian: qemu-system-arm)",
)
_DEBIAN = {"gcc": "gcc-arm-none-eabi"}


def firmware(
    folder: Path,
    board: str = "mps2_an386",
    graph: Graph | None = None,
    compiler: str = "zig",
    changes: Mapping[tuple[str, str], str] | None = None,
) -> Firmware:
    """A compiled network; skips the test if the compiler is missing.

    Args:
        folder: for the sources.
        board: to compile for.
        graph: the small convnet if not given.
        compiler: zig needs only pip.
        changes: (file, what stands there once) -> what shall stand there.
    """
    pytest.importorskip("unicorn", reason="needs edgekit[c]")
    graph = graph or convnet()
    program = lower(graph, Isa.of(boards.load(board).core))
    memory = plan_memory(program)
    deployment = bare_deployment(board, graph, arena=arena_plan(program, memory))
    for name, content in c.sources(deployment).items():
        (folder / name).write_bytes(content)
    for (name, old), new in (changes or {}).items():
        text = (folder / name).read_text()
        assert text.count(old) == 1, f"{name} holds {old!r} {text.count(old)} times"
        (folder / name).write_text(text.replace(old, new))
    try:
        toolchain = for_core(deployment.board.core, deployment.board.features, compiler)
    except MissingToolError:
        pytest.skip(f"{compiler} for Arm is not installed (Debian: {_DEBIAN.get(compiler, '-')})")
    elf = folder / "self_test.elf"
    compile_bundle(folder, elf, toolchain)
    image = read_image(elf.read_bytes())
    sources = c_program(program, memory)
    board_of = deployment.board
    return Firmware(board_of, graph, graph, program, memory, sources, image, toolchain)
