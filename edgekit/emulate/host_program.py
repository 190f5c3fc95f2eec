"""A generated C program on this computer: the same sources, hundreds of images a second.

Its sources and memory plan enter; a `HostProgram` leaves that answers sample after sample from a
process of its own. It is what whole test splits run through; a chip's emulator takes seconds for
what it does in milliseconds, and both must give the same bits.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgekit.emulate.samples import Sample, Values, each
from edgekit.emulate.toolchain import for_host
from edgekit.errors import VerificationError
from edgekit.graph.ir import Graph, Tensor
from edgekit.plan.static_memory import StaticMemory
from edgekit.resources import templates_dir

_MAIN = "host/main.c"
_FAST = ("-O3", "-march=native")  # integer arithmetic: the bits do not depend on it


class HostProgram:
    """A running program.

    Attributes:
        title: of the compiler that made it.
    """

    def __init__(self, title: str, graph: Graph, child: subprocess.Popen[bytes]) -> None:
        self.title = title
        self._graph = graph
        self._child = child

    def __call__(self, inputs: Sequence[Values]) -> tuple[Values, ...]:
        """Stacked samples, (n, *shape) each -> stacked outputs.

        Raises:
            VerificationError: the program ended.
        """
        rows = [self.run(sample) for sample in each(inputs)]
        return tuple(np.stack(column) for column in zip(*rows, strict=True))

    def run(self, sample: Sample) -> tuple[Values, ...]:
        """One sample's outputs.

        Raises:
            VerificationError: the program ended.
        """
        assert self._child.stdin is not None
        try:
            for value in sample:
                self._child.stdin.write(np.ascontiguousarray(value).tobytes())
            self._child.stdin.flush()
            return tuple(self._read(self._graph.tensors[name]) for name in self._graph.outputs)
        except (BrokenPipeError, EOFError) as error:
            code = self._child.wait()
            raise VerificationError(
                f"The C program ended on this computer with code {code}.",
                hint="This is a fault of edgekit: please report it with the model.",
            ) from error

    def _read(self, tensor: Tensor) -> Values:
        assert self._child.stdout is not None
        data = self._child.stdout.read(tensor.size_bytes)
        if len(data) < tensor.size_bytes:
            raise EOFError
        return np.frombuffer(data, tensor.dtype.numpy).reshape(tensor.shape)


@contextmanager
def start(
    sources: Mapping[str, bytes], graph: Graph, memory: StaticMemory
) -> Iterator[HostProgram]:
    """Compile a program for this computer and start it; its process ends with the block.

    Args:
        sources: the C files of the network and its kernels, by name.
        graph: what they compute.
        memory: where inputs and outputs lie in the arena.

    Raises:
        MissingToolError: no compiler for this computer is installed.
    """
    toolchain = for_host().with_flags(*_FAST)
    with tempfile.TemporaryDirectory(prefix="edgekit-") as folder:
        binary = Path(folder) / "program"
        main = (templates_dir() / _MAIN).read_bytes()
        for name, content in {**sources, "main.c": main}.items():
            (Path(folder) / name).write_bytes(content)
        toolchain.build(sorted(Path(folder).glob("*.c")), binary)
        command = [str(binary), *_places(graph, memory)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            yield HostProgram(toolchain.title, graph, child)
        finally:
            child.kill()
            child.communicate()


def _places(graph: Graph, memory: StaticMemory) -> Iterator[str]:
    for side, names in (("in", graph.inputs), ("out", graph.outputs)):
        for name in names:
            yield from (side, str(memory.offsets[name]), str(graph.tensors[name].size_bytes))
