"""The arena of C programs: no value is lost, and no simpler plan is lower."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from itertools import chain, combinations, permutations
from math import factorial
from pathlib import Path

import numpy as np
import pytest
from random_graphs import random_graph
from support.c_host import CC, assert_c_equals_reference, needs_compiler
from support.graphs import GraphBuilder, convnet
from support.op_cases import rng_of
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.emit.c_program import c_program
from edgekit.graph import ops
from edgekit.graph.ir import Graph
from edgekit.lower.lowering import lower
from edgekit.lower.program import Kernel, Program
from edgekit.plan.arena import activation_buffers
from edgekit.plan.greedy import Buffer, height, place
from edgekit.plan.sharing import Choice, costly, parts, share
from edgekit.plan.static_memory import StaticMemory, plan_memory

RANDOM = range(40)


class Arena:
    """Executes a plan on labels: every byte that is computed is a new one, copies keep theirs."""

    def __init__(self, program: Program, memory: StaticMemory) -> None:
        self.program, self.memory = program, memory
        self.bytes = np.zeros(memory.arena_bytes, np.int64)
        self.labels: dict[str, np.ndarray] = {}
        self.count = 0

    def run(self) -> None:
        for name in self.program.graph.inputs:
            self.write(name, self.fresh(self.size(name)))
        for index, step in enumerate(self.program.steps):
            if not step.kernels:
                source, target = self.program.activations(step.node)[0], step.node.outputs[0]
                self.labels[target] = self.labels[source]
            for kernel in step.kernels:
                self.call(index, kernel)
            for name in step.node.outputs:
                self.require(name)
        for name in self.program.graph.outputs:
            self.require(name)

    def call(self, index: int, kernel: Kernel) -> None:
        sources = [name for name in kernel.operands if isinstance(name, str)]
        for name in sources:
            self.require(name)
        target = kernel.outputs[0]
        scratch = range(0)
        if index in self.memory.scratch:
            start = self.memory.scratch[index]
            scratch = range(start, start + self.memory.scratch_bytes[index])
            assert self.memory.scratch_bytes[index] >= (kernel.scratch_bytes or 0)
            self.bytes[scratch.start : scratch.stop] = self.fresh(len(scratch))
        for name in (*sources, target):
            assert disjoint(scratch, self.span(name))
        if kernel.name == "ek_copy_rows":
            self.copy(kernel, sources, target)
            return
        for position, name in enumerate(sources):
            together = self.span(name).start == self.span(target).start and (
                position in kernel.overwrites
                or (position == 0 and len(scratch) >= (kernel.in_place_scratch_bytes or 1e9))
                or name == sources[0]
            )
            assert together or disjoint(self.span(name), self.span(target)), kernel
        self.write(target, self.fresh(self.size(target)))

    def copy(self, kernel: Kernel, sources: list[str], target: str) -> None:
        p = kernel.parameters
        labels = self.labels.setdefault(target, np.zeros(self.size(target), np.int64))
        for row in range(p["rows"]):
            start = p["output_offset"] + row * p["output_stride"]
            if sources:
                source = p["input_offset"] + row * p["input_stride"]
                moved = self.labels[sources[0]][source : source + p["row_bytes"]]
                labels[start : start + p["row_bytes"]] = moved
            else:
                labels[start : start + p["row_bytes"]] = self.fresh(p["row_bytes"])
            at = self.span(target).start + start
            self.bytes[at : at + p["row_bytes"]] = labels[start : start + p["row_bytes"]]

    def fresh(self, count: int) -> np.ndarray:
        self.count += count
        return np.arange(self.count - count, self.count) + 1

    def write(self, name: str, labels: np.ndarray) -> None:
        self.labels[name] = labels
        span = self.span(name)
        self.bytes[span.start : span.stop] = labels

    def require(self, name: str) -> None:
        span = self.span(name)
        np.testing.assert_array_equal(self.bytes[span.start : span.stop], self.labels[name], name)

    def size(self, name: str) -> int:
        return self.program.graph.tensors[name].size_bytes

    def span(self, name: str) -> range:
        return range(self.memory.offsets[name], self.memory.offsets[name] + self.size(name))


def disjoint(one: range, other: range) -> bool:
    return not (len(one) and len(other)) or one.stop <= other.start or other.stop <= one.start


def joins(axis_first: bool) -> Graph:
    """Two branches joined, then split again; along the first axis the parts are whole runs."""
    b = GraphBuilder("joins")
    x = b.input("x", (1, 8, 8, 4), b.int8(0.05, 1))
    q = b.int8(0.07, 3)
    axis = 1 if axis_first else 3
    left = b.conv(x, 4, (3, 3), quantization=q)
    right = b.depthwise(x, (3, 3), quantization=q)
    both = b.add(ops.Concatenation(axis=axis), left, right)
    one = b.add(ops.Split(2), b.ints("axis", [axis]), both)
    return b.build(
        b.add(ops.Relu(), one, quantization=q), b.add(ops.Relu6(), f"{one}:1", quantization=q)
    )


def joined_rows() -> Graph:
    """An input and what is made of it, joined row by row."""
    b = GraphBuilder("rows")
    x = b.input("x", (1, 8, 8, 4), b.int8(0.05, 1))
    y = b.conv(x, 4, (3, 3), quantization=b.int8(0.05, 1))
    return b.build(b.add(ops.Concatenation(axis=1), y, x))


def wide_depthwise(multiplier: int = 1, **window: object) -> Graph:
    """Everywhere but in the middle there is little memory."""
    b = GraphBuilder("wide")
    x = b.input("x", (1, 12, 12, 2), b.int8(0.05, 1))
    x = b.conv(x, 16, (1, 1))
    x = b.depthwise(x, (3, 3), multiplier, **window)
    return b.build(b.conv(x, 2, (1, 1)))


def buffers_of(program: Program) -> list[Buffer]:
    """Nothing shared: what TFLite Micro's planner would be given."""
    sharing = share(program, Choice())
    return activation_buffers(program.graph) + list(sharing.scratch.values())


@pytest.mark.parametrize("seed", RANDOM)
def test_no_value_is_lost_and_the_arena_is_never_above_greedy(seed: int) -> None:
    program = lower(random_graph(seed))
    memory = plan_memory(program)
    Arena(program, memory).run()
    buffers = buffers_of(program)
    assert memory.bound_bytes <= memory.arena_bytes <= height(buffers, place(buffers))


@pytest.mark.parametrize("axis_first", [True, False])
def test_no_value_of_joined_tensors_is_lost(axis_first: bool) -> None:
    program = lower(joins(axis_first))
    Arena(program, plan_memory(program)).run()


def subsets(values: list) -> chain:
    return chain.from_iterable(combinations(values, count) for count in range(len(values) + 1))


def exhaustive(program: Program) -> int:
    """The lowest arena of all choices and all orders in which buffers can be put down."""
    best = None
    for part in subsets(list(parts(program))):
        for steps in subsets(list(costly(program))):
            buffers = share(program, Choice(frozenset(part), frozenset(steps))).buffers
            assert factorial(len(buffers)) <= 5040
            for order in permutations(buffers):
                top = height(order, first_fit(order))
                best = top if best is None else min(best, top)
    assert best is not None
    return best


def first_fit(order: tuple[Buffer, ...]) -> list[int]:
    offsets: list[int] = []
    for buffer in order:
        alive = [(o, b) for o, b in zip(offsets, order, strict=False) if b.overlaps(buffer)]
        gap = 0
        for offset, other in sorted(alive, key=lambda pair: pair[0]):
            if offset - gap >= buffer.size_bytes:
                break
            gap = max(gap, offset + other.size_bytes)
        offsets.append(gap)
    return offsets


@pytest.mark.parametrize("seed", range(100, 116))
def test_small_programs_are_optimal(seed: int) -> None:
    program = lower(random_graph(seed, nodes=3))
    if len(share(program, Choice()).buffers) <= 7:
        assert plan_memory(program).arena_bytes == exhaustive(program)


@pytest.mark.parametrize("make", [joined_rows, wide_depthwise])
def test_small_programs_with_choices_are_optimal(make: Callable[[], Graph]) -> None:
    program = lower(make())
    assert plan_memory(program).arena_bytes == exhaustive(program)


def test_element_wise_results_take_the_place_of_their_input() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 8, 8, 4), b.int8(0.05, 1))
    y = b.conv(x, 4, (3, 3))
    z = b.add(ops.Relu(), y)
    memory = plan_memory(lower(b.build(b.add(ops.Add(), z, x))))
    assert memory.offsets[y] == memory.offsets[z]


def test_views_and_parts_are_not_copied() -> None:
    memory = plan_memory(lower(joins(axis_first=True)))
    joined = memory.offsets["concatenation_2"]
    for left, right in (("conv_2d_0", "depthwise_conv_2d_1"), ("split_3", "split_3:1")):
        assert (memory.offsets[left], memory.offsets[right]) == (joined, joined + 256)


def test_a_long_lived_part_is_copied_where_that_is_lower() -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 16), b.int8(0.05, 1))
    small = b.add(ops.Relu(), x)
    y = x
    for features in (512, 16, 512):
        y = b.fully_connected(y, features, quantization=b.int8(0.05, 1))
    program = lower(b.build(b.add(ops.Concatenation(axis=1), small, y)))
    memory = plan_memory(program)
    Arena(program, memory).run()
    every = share(program, Choice(frozenset(parts(program))))
    assert memory.arena_bytes <= height(every.buffers, place(every.buffers))


def test_depthwise_is_in_place_only_where_it_lowers_the_arena() -> None:
    program = lower(wide_depthwise())
    memory = plan_memory(program)
    image = 12 * 12 * 16
    assert depthwise_is_in_place(program)
    assert memory.arena_bytes < 1.5 * image
    for graph in (wide_depthwise(multiplier=2), convnet()):
        assert not depthwise_is_in_place(lower(graph))


def depthwise_is_in_place(program: Program) -> bool:
    offsets = plan_memory(program).offsets
    kernel = next(k for s in program.steps for k in s.kernels if k.name == "ek_depthwise_s8")
    return offsets[kernel.operands[0]] == offsets[kernel.outputs[0]]


def test_person_detection_needs_no_more_than_its_two_largest_tensors() -> None:
    memory = plan_memory(lower(read(shared_file("models/vww_96_int8.tflite"))))
    assert memory.arena_bytes == memory.bound_bytes == 55_296


@needs_compiler
def test_programs_that_share_places_are_bit_exact(tmp_path: Path) -> None:
    windows = [
        {},
        {"stride": (2, 2)},
        {"dilation": (2, 2)},
        {"padding": ops.Padding.VALID},
        {"stride": (1, 2)},
        {"dilation": (3, 1)},
    ]
    graphs = [wide_depthwise(**window) for window in windows]
    programs = list(map(lower, graphs))
    in_place = [
        len(
            {
                plan_memory(p).offsets[n]
                for n in (*p.steps[1].node.inputs[:1], *p.steps[1].node.outputs)
            }
        )
        for p in programs
    ]
    assert in_place.count(1) >= 4
    graphs += [joins(True), joins(False), *map(random_graph, range(12))]
    assert_c_equals_reference(graphs, tmp_path, rng_of("shared places"))


@needs_compiler
@pytest.mark.parametrize("make", [convnet, wide_depthwise, lambda: joins(True)])
def test_a_painted_arena_is_touched_to_its_end_and_no_further(
    make: Callable[[], Graph], tmp_path: Path
) -> None:
    program = lower(make())
    memory = plan_memory(program)
    invoke = shared_library(program, memory, tmp_path).ek_model_invoke
    touched = np.zeros(memory.arena_bytes + 64, bool)
    for paint in (0xA5, 0x5A):
        arena = np.full(len(touched), paint, np.uint8)
        invoke(arena.ctypes.data_as(ctypes.c_void_p))
        touched |= arena != paint
    assert memory.arena_bytes - 16 < np.flatnonzero(touched).max() + 1 <= memory.arena_bytes


def shared_library(program: Program, memory: StaticMemory, folder: Path) -> ctypes.CDLL:
    for name, content in c_program(program, memory).items():
        (folder / name).write_bytes(content)
    library = folder / "model.so"
    command = [str(CC), "-std=c11", "-O1", "-shared", "-fPIC", "-o", str(library)]
    subprocess.run([*command, *map(str, folder.glob("*.c"))], check=True)
    return ctypes.CDLL(str(library))
