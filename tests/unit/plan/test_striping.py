"""Plans in stripes: every row is there when it is read, and less memory costs more instructions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.c_host import assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder
from support.op_cases import rng_of
from support.shared import shared_file
from support.striped import random_network, random_stripes

from edgekit.convert.tflite_reader import read
from edgekit.errors import DoesNotFitError
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Activation
from edgekit.graph.reference.windows import Axis
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.lower.program import Call, Program
from edgekit.plan.static_memory import StaticMemory, plan_memory
from edgekit.plan.striping import SMALLEST, curve, plan_program


class Rows:
    """Executes a plan on labels: each row of each tensor has its own, in every byte."""

    def __init__(self, program: Program, memory: StaticMemory) -> None:
        self.program, self.memory = program, memory
        self.arena = np.full(memory.arena_bytes, -1, np.int64)
        self.first = {name: i * 1000 for i, name in enumerate(program.graph.tensors)}

    def run(self) -> None:
        for name in self.program.graph.inputs:
            rows = range(self.tensor(name).shape[1])
            self.span(name, 0, len(rows))[:] = self.labels(name, rows)
        for call in self.program.calls():
            self.call(call)
        for name in self.program.graph.outputs:
            self.require(name, 0, range(self.tensor(name).shape[1]))

    def call(self, call: Call) -> None:
        kernel, node = call.kernel, self.program.steps[call.step].node
        if not call.made_bytes and kernel.name == "ek_copy_rows" and self.is_line(node.outputs[0]):
            self.move(call)
            return
        output = node.outputs[0]
        size = call.made_bytes or self.tensor(output).size_bytes
        begin = call.begin // self.row_bytes(output)
        made = range(begin, begin + size // self.row_bytes(output))
        reads = [
            (name, offset, self.needed(node, name, made))
            for name, offset in zip(kernel.operands, call.offsets, strict=False)
            if isinstance(name, str)
        ]
        if call.step in self.memory.scratch:
            start = self.memory.scratch[call.step]
            self.arena[start : start + self.memory.scratch_bytes[call.step]] = -2
        for needed in reads:
            self.require(*needed)
        self.span(output, call.offsets[-1], len(made))[:] = self.labels(output, made)
        for name, offset, rows in reads:
            in_place = not call.made_bytes and self.at(name) == self.at(output)
            if not (in_place and (kernel.overwrites or kernel.in_place_scratch_bytes)):
                self.require(name, offset, rows)

    def move(self, call: Call) -> None:
        """As ek_copy_rows does it, whose rows must not overlap themselves."""
        p, name = call.kernel.parameters, call.kernel.operands[0]
        base = self.memory.offsets[name]
        for row in range(p["rows"]):
            source = base + p["input_offset"] + row * p["input_stride"]
            target = base + p["output_offset"] + row * p["output_stride"]
            assert target + p["row_bytes"] <= source
            moved = self.arena[source : source + p["row_bytes"]].copy()
            self.arena[target : target + p["row_bytes"]] = moved

    def needed(self, node, name: str, made: range) -> range:
        """From the op's own geometry, not from what the schedule says."""
        height, op = self.tensor(name).shape[1], node.op
        if isinstance(op, ops.Conv2D | ops.DepthwiseConv2D):
            taps, dilation = self.tensor(node.inputs[1]).shape[1], op.dilation[0]
        elif isinstance(op, ops.MaxPool2D | ops.AveragePool2D):
            taps, dilation = op.filter[0], 1
        elif (
            len(self.tensor(name).shape) == 4
            and len(made)
            and len(self.tensor(node.outputs[0]).shape) == 4
        ):
            return made
        else:
            return range(height)
        axis = Axis.of(height, taps, op.stride[0], dilation, op.padding)
        first = made.start * axis.stride - axis.before
        last = (made.stop - 1) * axis.stride - axis.before + (taps - 1) * dilation + 1
        return range(max(0, first), min(height, last))

    def at(self, name: str) -> int:
        return self.memory.offsets[name]

    def is_line(self, name: str) -> bool:
        return any(name in stripes.lines for stripes in self.program.stripes)

    def require(self, name: str, offset: int, rows: range) -> None:
        found = self.span(name, offset, len(rows))
        np.testing.assert_array_equal(found, self.labels(name, rows), name)

    def labels(self, name: str, rows: range) -> np.ndarray:
        return np.repeat(self.first[name] + np.array(rows), self.row_bytes(name))

    def span(self, name: str, offset: int, rows: int) -> np.ndarray:
        start = self.memory.offsets[name] + offset
        assert start + rows * self.row_bytes(name) <= len(self.arena)
        return self.arena[start : start + rows * self.row_bytes(name)]

    def row_bytes(self, name: str) -> int:
        return self.tensor(name).size_bytes // self.tensor(name).shape[1]

    def tensor(self, name: str):
        return self.program.graph.tensors[name]


def network(seed: int) -> Graph:
    """Without views: rows of a dense layer are not those of the image."""
    for s in range(1000 * seed, 1000 * seed + 1000):
        graph = random_network(s)
        if len(graph.tensors[graph.outputs[0]].shape) == 4:
            return graph
    raise AssertionError


@pytest.mark.parametrize("seed", range(60))
def test_every_row_is_there_when_it_is_read(seed: int) -> None:
    program = random_stripes(lower(network(seed), list(Isa)[seed % len(Isa)]), seed)
    memory = plan_memory(program)
    assert memory.bound_bytes <= memory.arena_bytes
    Rows(program, memory).run()


@pytest.mark.parametrize("seed", range(60, 72))
def test_the_curve_falls_in_bytes_and_rises_in_instructions(seed: int) -> None:
    plans = curve(lower(network(seed)))
    for before, after in itertools.pairwise(plans):
        assert after.memory.arena_bytes < before.memory.arena_bytes
        assert after.extra_instructions > before.extra_instructions
    for plan in plans[1:]:
        assert plan.program.stripes
        Rows(plan.program, plan.memory).run()


def bottleneck() -> Graph:
    """An image, a wide middle with a residual sum, and a class."""
    b = GraphBuilder("bottleneck")
    x = b.input("x", (1, 32, 32, 3), b.int8(0.05, 1))
    x = b.conv(x, 8, (3, 3), stride=(2, 2), activation=Activation.RELU6)
    y = b.conv(x, 48, (1, 1), activation=Activation.RELU6)
    y = b.conv(b.depthwise(y, (3, 3)), 8, (1, 1))
    return b.build(b.add(ops.Add(), x, y, quantization=b.int8(0.07, 1)))


def test_a_residual_block_needs_lines_instead_of_images() -> None:
    graph = bottleneck()
    whole, least = plan_program(graph, Isa.DSP), plan_program(graph, Isa.DSP, SMALLEST)
    assert whole.memory.arena_bytes > 16 * 16 * 48
    assert least.memory.arena_bytes < 16 * 16 * 48 / 2
    Rows(least.program, least.memory).run()


def test_the_cheapest_plan_within_a_budget() -> None:
    graph = bottleneck()
    plans = curve(lower(graph, Isa.DSP))
    assert len(plans) > 2
    for plan in plans:
        size = plan.memory.arena_bytes
        chosen = plan_program(graph, Isa.DSP, size)
        assert (chosen.memory.arena_bytes, chosen.extra_instructions) == (
            size,
            plan.extra_instructions,
        )
    assert plan_program(graph, Isa.DSP, 10**6).program.stripes == ()
    with pytest.raises(DoesNotFitError, match="No plan of 'bottleneck' needs 100 bytes") as caught:
        plan_program(graph, Isa.DSP, 100)
    assert f"{plans[-1].memory.arena_bytes:,}" in caught.value.hint


def test_what_others_read_too_is_not_cut() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 8, 8, 2), b.int8(0.05, 1))
    y = b.conv(x, 32, (3, 3))
    z = b.depthwise(y, (3, 3))
    program = lower(b.build(z, b.add(ops.Relu(), y)))
    for plan in curve(program):
        assert all(y not in stripes.lines for stripes in plan.program.stripes)


def test_person_detection_in_stripes_takes_hardly_more_than_its_image() -> None:
    graph = read(shared_file("models/vww_96_int8.tflite"))
    least = plan_program(graph, Isa.DSP, SMALLEST)
    assert 96 * 96 * 3 < least.memory.arena_bytes <= 30_000
    assert plan_program(graph, Isa.DSP, 40_000).memory.arena_bytes <= 40_000


@needs_compiler
@pytest.mark.parametrize("isa", Isa)
def test_planned_stripes_are_bit_exact(isa: Isa, tmp_path) -> None:
    graphs = [bottleneck(), *map(network, range(80, 86))]
    rng = rng_of("planned stripes")
    assert_c_equals_reference(
        graphs,
        tmp_path,
        rng,
        isa=isa,
        lowering=lambda graph, isa: plan_program(graph, isa, SMALLEST).program,
    )
