"""C: the network as a program of its own for one board, with start-up and a self test.

A deployment enters; C11 sources, a linker script, build files and golden vectors leave. Where a
compiler is installed the program is compiled, to know its size; what is in the bundle does not
depend on that. Refused: ops that no kernel computes, cores and models that do not fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from edgekit import __version__
from edgekit.backends.base import Deployment, ends_table, golden_files, shared_files
from edgekit.backends.firmware import (
    class_names,
    ends,
    foreseen_test_bytes,
    pixel_table,
    self_test_bytes,
)
from edgekit.emit.c_program import c_program
from edgekit.emit.render import render
from edgekit.emulate import toolchain
from edgekit.emulate.firmware import Sizes, compiled_sizes
from edgekit.emulate.toolchain import Toolchain
from edgekit.errors import MissingToolError
from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.program import Program
from edgekit.plan.boards import Board
from edgekit.plan.fit import Fit, judge_program
from edgekit.plan.static_memory import StaticMemory, arena_plan
from edgekit.plan.striping import Plan, plan_program
from edgekit.report.program_memory import estimated_instructions
from edgekit.resources import templates_dir

# Set apart for the stack; emulation shows how much of it is used.
STACK_BYTES = 4096
# Without a compiler: start-up and self test, and each kernel. Rounded up from what
# arm-none-eabi-gcc makes for a Cortex-M4.
_BASE_CODE_BYTES, _KERNEL_CODE_BYTES = 4096, 2048
_TEMPLATES = (
    "board.h",
    "link.ld",
    "model_settings.h",
    "model_settings.c",
    "golden_vectors.h",
    "golden_vectors.c",
    "main.c",
    "Makefile",
    "CMakeLists.txt",
)
_RUNTIME = ("ek_mem.h", "ek_mem.c")
_START = ("ek_start.c", "ek_console.h", "ek_console.c", "ek_chip.h")
# What a kind of chip needs beside its ek_chip_*.c, and how its boot ROM names it in a UF2 file.
_MORE_OF_CHIP = {
    "rp2040": ("ek_chip_rp2.h", "ek_boot2_rp2040.c", "ek_boot2_rp2040.S"),
    "rp2350": ("ek_chip_rp2.h",),
}
_UF2_FAMILIES = {"rp2040": 0xE48BFF56, "rp2350": 0xE48BFF59}
_PYOCD_TARGETS = {"nrf52": "nrf52840"}


@dataclass(frozen=True, eq=False)
class Compiled:
    """What compiling showed.

    Attributes:
        sizes: of the firmware; None if nothing was compiled.
        toolchain: that compiled it; None likewise.
        reason: why nothing was compiled.
    """

    sizes: Sizes | None
    toolchain: Toolchain | None
    reason: str = ""


class C:
    """A generated C program for an Arm Cortex-M."""

    name = "c"
    additions: Mapping[str, str] = {}
    multiple = 4

    def suited(self, graph: Graph) -> Graph:
        """As it is: hard-swish is a table."""
        return graph

    def check(self, deployment: Deployment) -> None:
        """Nothing if every op has a kernel, and the program fits the board.

        Raises:
            UnsupportedError: names the first op that no kernel computes.
            DoesNotFitError: says by how many bytes and what weighs most.
        """
        estimate = fit(deployment, None)
        estimate.require()  # a linker says less of what is too large
        fit(deployment, _compiled(deployment).sizes).require()

    def files(self, deployment: Deployment) -> dict[str, bytes]:
        """The bundle."""
        readme = render("c/README.md", _values(deployment))
        shared = {**shared_files(deployment), **golden_files(deployment.golden)}
        return {**shared, **sources(deployment), "README.md": readme}

    def report(self, deployment: Deployment) -> dict[str, Any]:
        """Memory as planned and compiled; RAM and flash, itemised."""
        compiled, program = _compiled(deployment), _program(deployment)
        sizes = compiled.sizes
        return {
            "memory": {
                "arena_bytes": deployment.arena.arena_bytes,
                "activations_bytes": deployment.arena.activations_bytes,
                "peak_node": deployment.arena.peak_node,
                "weights_bytes": program.weights_bytes,
                "code_bytes": sizes.code_bytes if sizes else _estimated_code(program)[1],
                "code_is_measured": sizes is not None,
                "stack_bytes": STACK_BYTES,
                "predicted": False,
            },
            "instructions": estimated_instructions(program),
            "firmware": {
                "compiled": sizes is not None,
                "compiler": compiled.toolchain.title if compiled.toolchain else None,
                "flags": " ".join(compiled.toolchain.flags) if compiled.toolchain else None,
                "reason": compiled.reason or None,
                "sizes": asdict(sizes) if sizes else None,
                "was_run": False,  # `edgekit emulate` does that
                "emulator": _emulator(deployment.board),
            },
            "fit": fit(deployment, sizes).to_json(),
        }


BACKEND = C()


def sources(deployment: Deployment) -> dict[str, bytes]:
    """Everything that is compiled, and what compiles it."""
    board, values = deployment.board, _values(deployment)
    made = {name: render(f"c/{name}", values) for name in _TEMPLATES}
    if values["uf2_family"]:
        made["uf2.py"] = render("c/uf2.py", values)
    program, memory = _program(deployment), _memory(deployment)
    runtime = {name: (templates_dir() / "runtime" / name).read_bytes() for name in _RUNTIME}
    chip = {name: (templates_dir() / "boards" / name).read_bytes() for name in _chip_files(board)}
    return {**c_program(program, memory), **runtime, **chip, **made}


def fit(deployment: Deployment, sizes: Sizes | None) -> Fit:
    """The verdict on the board's memory, by what was compiled or, without, by an estimate."""
    program, stack_bytes = _program(deployment), STACK_BYTES
    code = _estimated_code(program)
    if sizes is not None:
        # The linker counts the layers' parameters with the weights; here they are code.
        structs = sizes.weights_bytes - program.weights_bytes
        code, stack_bytes = (
            ("code", sizes.code_bytes + structs),
            STACK_BYTES + sizes.variables_bytes,
        )
    return judge_program(
        deployment.board,
        _computed(deployment),
        deployment.arena,
        stack_bytes=stack_bytes,
        weights_bytes=program.weights_bytes,
        code=code,
        test_bytes=self_test_bytes(deployment.golden),
    )


def foresee(board: Board, graph: Graph, golden_count: int, ram_bytes: int | None = None) -> Fit:
    """The same for a network of which only shapes and types are known.

    Args:
        ram_bytes: see `plan_program`.

    Raises:
        UnsupportedError: names the first op that no kernel computes.
        DoesNotFitError: no plan needs so little RAM.
    """
    plan = plan_program(graph, Isa.of(board.core), ram_bytes)
    program = plan.program
    return judge_program(
        board,
        graph,
        arena_plan(program, plan.memory),
        stack_bytes=STACK_BYTES,
        weights_bytes=program.weights_bytes,
        code=_estimated_code(program),
        test_bytes=foreseen_test_bytes(graph, golden_count),
    )


def _computed(deployment: Deployment) -> Graph:
    return deployment.computed or deployment.graph


def _plan(deployment: Deployment) -> Plan:
    isa = Isa.of(deployment.board.core)
    return plan_program(_computed(deployment), isa, deployment.ram_bytes)


def _program(deployment: Deployment) -> Program:
    return _plan(deployment).program


def _memory(deployment: Deployment) -> StaticMemory:
    return _plan(deployment).memory


@lru_cache(maxsize=1)
def _compiled(deployment: Deployment) -> Compiled:
    """Compiled if there is a compiler; a bundle can be written without one."""
    board = deployment.board
    try:
        chosen = toolchain.for_core(board.core, board.features)
    except MissingToolError as error:
        return Compiled(None, None, f"{error} {error.hint}")
    return Compiled(compiled_sizes(sources(deployment), chosen), chosen)


def _estimated_code(program: Program) -> tuple[str, int]:
    return "code (estimate)", _BASE_CODE_BYTES + _KERNEL_CODE_BYTES * len(program.kernel_names)


def _emulator(board: Board) -> str | None:
    """The emulator of the whole board; without one, clock and serial port were never run."""
    return f"qemu-system-arm -M {board.emulator.qemu}" if board.emulator else None


def _chip_files(board: Board) -> tuple[str, ...]:
    assert board.chip is not None and board.uart is not None  # `Board` sees to it
    chip = board.chip.kind
    return (
        *_START,
        f"ek_chip_{chip}.c",
        *_MORE_OF_CHIP.get(chip, ()),
        f"ek_uart_{board.uart.kind}.c",
    )


def _facts(part: Any) -> dict[str, str]:
    """The figures of a chip or a serial port by their keys, as C writes them without the suffix."""
    return {key: _fact(key, value) for key, value in part.model_dump(exclude={"kind"}).items()}


def _fact(key: str, value: bool | int | str) -> str:
    if isinstance(value, str):
        return str(ord(value) - ord("a"))  # a port
    return f"0x{value:08X}" if key == "base" or key.endswith("_register") else str(int(value))


def _values(deployment: Deployment) -> dict[str, Any]:
    board, contract = deployment.board, deployment.preprocessing
    assert board.chip is not None and board.uart is not None
    inputs, outputs = ends(deployment)
    program = _program(deployment)
    return {
        "name": deployment.title,
        "version": __version__,
        "board": board,
        "flash": board.flash_region,
        "ram": board.arena_region,
        "stack_bytes": STACK_BYTES,
        "facts": {"chip": _facts(board.chip), "uart": _facts(board.uart)},
        "has_boot_stage": board.chip.kind == "rp2040",
        "uf2_family": _UF2_FAMILIES.get(board.chip.kind),
        "pyocd_target": _PYOCD_TARGETS.get(board.chip.kind, ""),
        "pin": _pin(board.uart),
        "flags": {
            "gcc": toolchain.gcc_flags(board.core, board.features),
            "clang": toolchain.clang_flags(board.core, board.features),
            "zig": toolchain.zig_flags(board.core, board.features),
        },
        "common_flags": toolchain.COMMON_FLAGS,
        "link_flags": toolchain.LINK_FLAGS,
        "runtime": [f"{name}.c" for name in program.kernel_names] + ["ek_mem.c"],
        "chip_files": _chip_files(board),
        "inputs": inputs,
        "outputs": outputs,
        "ends_table": ends_table(deployment),
        "has_scales": any(end.quantization for end in inputs + outputs),
        "has_floats": any(end.c_type == "float" for end in inputs + outputs),
        "has_classes": deployment.classes is not None,
        "classes": deployment.classes,
        "labels": class_names(deployment),
        "p": contract,
        "table": pixel_table(deployment),
        "mean": np.array(contract.mean if contract else (), np.float32),
        "deviation": np.array(contract.std if contract else (), np.float32),
        "golden_count": len(inputs[0].golden),
        "golden_total": len(deployment.golden),
        "fit": fit(deployment, None),  # the same wherever it is built
    }


def _pin(uart: Any) -> str:
    """Where the serial port comes out: "PA2", "pin 6"; empty where it is wired already."""
    if uart.kind == "cmsdk":
        return ""
    return f"pin {'P' + uart.tx_port.upper() if hasattr(uart, 'tx_port') else ''}{uart.tx_pin}"
