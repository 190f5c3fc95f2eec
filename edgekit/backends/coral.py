"""Coral: the int8 model, a preflight for the Edge TPU, and a `run.py` that falls back to the CPU.

Where Google's `edgetpu_compiler` is installed it is called, and what it makes goes into the bundle
after a check; where it is not, the bundle says how to get it. Nothing else ever makes an
`_edgetpu.tflite`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from edgekit.backends.base import MODEL_FILE, Deployment
from edgekit.backends.python_bundle import python_files
from edgekit.emit.render import to_json
from edgekit.emit.text import plain
from edgekit.graph.ir import Graph
from edgekit.graph.passes import without_hard_swish
from edgekit.interruption import unbroken
from edgekit.plan.partition import EDGE_TPU_SRAM_BYTES, Partition, partition

COMPILER = "edgetpu_compiler"
EDGETPU_FILE = "model_int8_edgetpu.tflite"
EDGETPU_LOG = "model_int8_edgetpu.log"  # written beside it by who calls the compiler by hand
_COMPILER_SECONDS = 300
_CUSTOM_OP = b"edgetpu-custom-op"


@dataclass(frozen=True)
class Compilation:
    """What became of the compiler's work.

    Attributes:
        model: the compiled model; None if there is none.
        log: what the compiler said.
        problem: why there is no model, to follow "the compiler"; empty if there is one.
    """

    model: bytes | None
    log: str
    problem: str


class Coral:
    """The Edge TPU, on a USB stick or a development board."""

    name = "coral"
    additions: Mapping[str, str] = {EDGETPU_FILE: MODEL_FILE, EDGETPU_LOG: MODEL_FILE}
    multiple = 8

    def suited(self, graph: Graph) -> Graph:
        """HARD_SWISH written out: the compiler would leave it, and all that follows, to the CPU."""
        return without_hard_swish(graph)

    def check(self, deployment: Deployment) -> None:
        """Nothing: what the Edge TPU cannot hold or compute goes elsewhere, only slower."""

    def files(self, deployment: Deployment) -> dict[str, bytes]:
        """The bundle; with the compiled model if the compiler is installed."""
        placed = _partition(deployment)
        compiled = compile_model(deployment.tflite)
        values = {
            "mapped": placed.mapped_count,
            "total": len(placed.placements),
            "edgetpu_file": EDGETPU_FILE,
            "compiled": compiled.model is not None,
            "why_not_compiled": compiled.problem,
        }
        files = python_files(self.name, deployment, values)
        files["preflight.txt"] = preflight(deployment.title, placed).encode()
        files["preflight.json"] = to_json(placed.to_json())
        if compiled.model is not None:
            files[EDGETPU_FILE] = compiled.model
            files[f"{COMPILER}.log"] = compiled.log.encode()
        return files

    def report(self, deployment: Deployment) -> dict[str, Any]:
        """The preflight, and whether the compiler confirmed it."""
        compiled = compile_model(deployment.tflite)
        section = _partition(deployment).to_json()
        section["compiled"] = compiled.model is not None
        section["compiler"] = compiled.problem or "made the model for the Edge TPU"
        return {"edgetpu": section}


BACKEND = Coral()


def _partition(deployment: Deployment) -> Partition:
    accelerator = deployment.board.accelerator
    sram_bytes = accelerator.sram_bytes if accelerator else EDGE_TPU_SRAM_BYTES
    return partition(deployment.graph, sram_bytes=sram_bytes)


def preflight(name: str, placed: Partition) -> str:
    """The partition as a text for people: one line an op, then the sums."""
    names = [plain(p.op) for p in placed.placements]  # custom ops bear any name
    width = max(map(len, names), default=0)
    lines = [f"Edge TPU preflight of {name}: a prediction by the compiler's published rules.", ""]
    for op, p in zip(names, placed.placements, strict=True):
        lines.append(f"{p.index:4}  {op:<{width}}  {'TPU' if p.mapped else 'CPU'}: {p.reason}")
    lines += [
        "",
        f"{placed.mapped_count} of {len(placed.placements)} operators on the Edge TPU, "
        f"in {placed.subgraph_count} subgraph{'' if placed.subgraph_count == 1 else 's'}.",
        f"{placed.parameter_bytes:,} bytes of parameters: {placed.on_chip_bytes:,} stay on the "
        f"chip, {placed.off_chip_bytes:,} are sent anew for each inference.",
    ]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=1)
def compile_model(tflite: bytes) -> Compilation:
    """Have `edgetpu_compiler` compile a model, if it is installed."""
    program = shutil.which(COMPILER)
    if program is None:
        return Compilation(None, "", "was not installed when this was built")
    with unbroken(tempfile.TemporaryDirectory()) as folder:
        source = Path(folder, MODEL_FILE)
        source.write_bytes(tflite)
        command = [program, "-s", "-o", folder, str(source)]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=_COMPILER_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return Compilation(None, "", f"took more than {_COMPILER_SECONDS} seconds")
        except OSError as error:
            return Compilation(None, "", f"could not be started ({error.strerror})")
        made = Path(folder, EDGETPU_FILE)
        model = made.read_bytes() if made.is_file() else b""
    log = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode != 0:
        return Compilation(None, log, f"failed with code {done.returncode}")
    if model[4:8] != b"TFL3" or _CUSTOM_OP not in model:
        return Compilation(None, log, "mapped nothing to the Edge TPU")
    return Compilation(model, log, "")
