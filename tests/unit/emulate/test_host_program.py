"""C programs on this computer."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import pytest
from support.c_host import needs_compiler
from support.graphs import convnet
from support.networks import two_by_two

from edgekit.emit.c_program import c_program
from edgekit.emulate import host_program
from edgekit.emulate.host_program import HostProgram
from edgekit.emulate.samples import random_samples, reference_outputs
from edgekit.errors import VerificationError
from edgekit.graph.ir import Graph
from edgekit.lower.lowering import lower
from edgekit.plan.static_memory import plan_memory


def started(graph: Graph) -> AbstractContextManager[HostProgram]:
    program = lower(graph)
    memory = plan_memory(program)
    return host_program.start(c_program(program, memory), graph, memory)


@needs_compiler
@pytest.mark.parametrize("graph", [convnet(), two_by_two()], ids=["convnet", "two by two"])
def test_a_set_of_samples_gives_the_reference_s_bits(graph: Graph) -> None:
    inputs = random_samples(graph, 40, 2)
    with started(graph) as host:
        found = host(inputs)
    for ours, theirs in zip(reference_outputs(graph, inputs), found, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@needs_compiler
def test_a_program_that_ends_is_an_error() -> None:
    inputs = random_samples(convnet(), 1, 2)
    with started(convnet()) as host:
        host._child.kill()
        host._child.wait()
        with pytest.raises(VerificationError, match="ended on this computer with code -9"):
            host(inputs)
