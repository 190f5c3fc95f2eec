"""TFLite models of other converters as C programs: the reference's bits, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from foreign_models import models, random_inputs
from support.c_host import SANITIZERS, HostPrograms, needs_compiler

from edgekit.convert.tflite_reader import read
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph
from edgekit.lower.lowering import lower

SAMPLES = 4
# Programs in one executable: compiling takes the time, and memory.
TOGETHER = 20


def graphs() -> dict[str, Graph]:
    """What edgekit reads, by file name; what it does not is tested with the reader."""
    found = {}
    for path in models(".tflite"):
        try:
            found[path.stem] = read(path.read_bytes())
        except UnsupportedError:
            continue
    return found


def is_computed_in_float(graph: Graph) -> bool:
    """Whether some node reads and writes real numbers."""
    return any(
        any(t.dtype is DType.FLOAT32 for t in graph.inputs_of(node))
        and any(t.dtype is DType.FLOAT32 for t in graph.outputs_of(node))
        for node in graph.nodes
    )


@needs_compiler
@pytest.mark.slow
def test_bits(tmp_path: Path) -> None:
    """One executable after the other; every model that is not float must lower."""
    integer = [g for g in graphs().values() if not is_computed_in_float(g)]
    assert len(integer) > 80
    for start in range(0, len(integer), TOGETHER):
        folder = tmp_path / str(start)
        folder.mkdir()
        check(integer[start : start + TOGETHER], folder)


def check(together: Sequence[Graph], folder: Path) -> None:
    programs = HostPrograms(together, folder, "-O1", *SANITIZERS)
    for index, graph in enumerate(together):
        inputs = random_inputs(graph, SAMPLES)
        for sample in range(SAMPLES):
            one = [
                values[sample : sample + 1] if len(values) == SAMPLES else values
                for values in inputs
            ]
            (outputs,) = programs.run([(index, one)])
            for ours, expected in zip(outputs, run(graph, one), strict=True):
                np.testing.assert_array_equal(ours, expected, graph.name)


def test_refusals() -> None:
    """Float networks have no kernels; the message names the first node that has none."""
    refused = 0
    for graph in graphs().values():
        if is_computed_in_float(graph):
            with pytest.raises(UnsupportedError, match="C kernel"):
                lower(graph)
            refused += 1
    assert refused
