"""Generated C programs, compiled for this machine under the strictest warnings, and run."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.emit.c_program import c_program
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.program import Program
from edgekit.plan.static_memory import plan_memory

Values = npt.NDArray[Any]
CC = shutil.which("cc")
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")

needs_compiler = pytest.mark.skipif(CC is None, reason="no C compiler (cc)")

# Reads "case inputs" from stdin again and again, writes outputs to stdout.
_MAIN = """\
#include <stdio.h>
#include <stdlib.h>
{includes}
typedef struct {{
  void (*invoke)(uint8_t *);
  size_t arena_bytes;
  int inputs, outputs;
  struct {{ size_t offset, bytes; }} input[16], output[16];
}} program;

static const program programs[] = {{
{programs}}};

int main(void) {{
  int which;
  while (fread(&which, sizeof which, 1, stdin) == 1) {{
    const program *p = &programs[which];
    uint8_t *arena = aligned_alloc(16, p->arena_bytes);
    for (size_t i = 0; i < p->arena_bytes; i++) arena[i] = 0xA5;
    for (int i = 0; i < p->inputs; i++)
      if (fread(arena + p->input[i].offset, 1, p->input[i].bytes, stdin) != p->input[i].bytes)
        return 2;
    p->invoke(arena);
    for (int i = 0; i < p->outputs; i++)
      fwrite(arena + p->output[i].offset, 1, p->output[i].bytes, stdout);
    free(arena);
  }}
  return 0;
}}
"""


class HostPrograms:
    """Several graphs as C programs in one executable: compiling is what takes the time."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        folder: Path,
        *flags: str,
        isa: Isa = Isa.PORTABLE,
        lowering: Callable[[Graph, Isa], Program] = lower,
    ) -> None:
        self._graphs = graphs
        includes, rows = [], []
        for index, graph in enumerate(graphs):
            program = lowering(graph, isa)
            memory = plan_memory(program)
            for name, content in c_program(program, memory, f"case{index}").items():
                (folder / name).write_bytes(content)
            includes.append(f'#include "case{index}.h"')
            ends = [graph.inputs, graph.outputs]
            tables = [
                ", ".join(
                    f"{{{memory.offsets[name]}, {graph.tensors[name].size_bytes}}}" for name in side
                )
                for side in ends
            ]
            rows.append(
                f"  {{case{index}_invoke, {memory.arena_bytes}, {len(ends[0])}, {len(ends[1])}, "
                f"{{{tables[0]}}}, {{{tables[1]}}}}},\n"
            )
        main = _MAIN.format(includes="\n".join(includes), programs="".join(rows))
        (folder / "main.c").write_text(main)
        self._binary = folder / "programs"
        sources = sorted(folder.glob("*.c"))
        command = [CC, *STRICT, *(flags or ("-O1",)), *sources, "-o", self._binary]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def run(self, runs: Sequence[tuple[int, Sequence[Values]]]) -> list[tuple[Values, ...]]:
        """(which graph, its inputs) for each run -> its outputs."""
        fed = b"".join(
            np.int32(which).tobytes() + b"".join(np.ascontiguousarray(v).tobytes() for v in inputs)
            for which, inputs in runs
        )
        done = subprocess.run([str(self._binary)], input=fed, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        rest, results = done.stdout, []
        for which, _ in runs:
            graph, outputs = self._graphs[which], []
            for name in graph.outputs:
                tensor = graph.tensors[name]
                values = np.frombuffer(rest, tensor.dtype.numpy, tensor.elements)
                outputs.append(values.reshape(tensor.shape))
                rest = rest[tensor.size_bytes :]
            results.append(tuple(outputs))
        return results


def assert_c_equals_reference(
    graphs: Sequence[Graph],
    folder: Path,
    rng: np.random.Generator,
    *flags: str,
    samples: int = 3,
    isa: Isa = Isa.PORTABLE,
    lowering: Callable[[Graph, Isa], Program] = lower,
) -> None:
    """Random inputs give the same bits in C, under sanitizers, and in `graph.execute`.

    Args:
        flags: for the compiler, beside the strictest.
        isa: whose kernels, by their portable twins.
        lowering: how a graph becomes a program.
    """
    from support.op_cases import random_values

    programs = HostPrograms(graphs, folder, "-O1", *SANITIZERS, *flags, isa=isa, lowering=lowering)
    runs = [
        (index, [random_values(rng, graph.tensors[name]) for name in graph.inputs])
        for index, graph in enumerate(graphs)
        for _ in range(samples)
    ]
    for (index, inputs), outputs in zip(runs, programs.run(runs), strict=True):
        for ours, expected in zip(outputs, run(graphs[index], inputs), strict=True):
            np.testing.assert_array_equal(ours, expected, err_msg=str(graphs[index].nodes[0]))
