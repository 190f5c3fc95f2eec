"""The tensor arena that TFLite Micro will need, predicted from the graph.

An integer graph and a build of TFLM enter; a frozen `ArenaPlan` leaves: the arena's bytes, where
each activation and scratch buffer lies in it, and which node is the peak. It follows MicroAllocator
step by step: persistent structures grow down from the end, activations and scratch buffers lie at
the start, where the model's offline plan (`offline`) or TFLM's greedy planner puts them.
docs/memory.md says how well it predicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgekit.graph.ir import Graph, Tensor
from edgekit.plan import tflm_memory as tflm
from edgekit.plan.boards import Board
from edgekit.plan.greedy import Buffer, height, place
from edgekit.plan.tflm_kernels import KernelMemory, kernel_memory
from edgekit.plan.tflm_memory import TflmBuild, align, alignment_of, size_of

ALIGNMENT = 16
# A head section that grows while kernels are prepared always has room for so many requests more.
_SPARE_SCRATCH_REQUESTS = 12
# The statistics that a recording allocator keeps: in all, and one set a kind of allocation.
_RECORDED_KINDS = 8


@dataclass(frozen=True)
class PlacedBuffer:
    """A buffer at its place in the arena.

    Attributes:
        name: of the tensor, or of the node that a scratch buffer belongs to.
        size_bytes: rounded up to the arena's alignment.
        first, last: the steps of its life, both included: 0 is before the first node, i + 1 is
            node i.
        offset: from the arena's start, in bytes.
        is_scratch: whether a kernel asked for it, instead of the graph.
    """

    name: str
    size_bytes: int
    first: int
    last: int
    offset: int
    is_scratch: bool

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.offset + self.size_bytes


@dataclass(frozen=True)
class ArenaPlan:
    """A prediction of TFLM's memory; nothing here was measured.

    Attributes:
        arena_bytes: what to declare, a multiple of 16.
        used_bytes: what `arena_used_bytes()` reports afterwards; the arena is larger where
            `setup_bytes` are, which TFLM does not count.
        activations_bytes: the part at the start for tensors and scratch buffers.
        persistent_bytes: the part at the end for structures, options and kernel data.
        setup_bytes: what AllocateTensors needs for a moment; the arena is at least this.
        buffers: tensors in the order of the file, then scratch buffers in that of the nodes.
        peak_node: the name of the node during which most bytes are alive; empty without nodes.
        peak_bytes: the bytes alive then. No planner needs fewer `activations_bytes`, unless
            tensors share their place.
        build: what the prediction is for; None for a generated C program, whose arena is no
            prediction: it has no structures, and no other size.
    """

    arena_bytes: int
    used_bytes: int
    activations_bytes: int
    persistent_bytes: int
    setup_bytes: int
    buffers: tuple[PlacedBuffer, ...]
    peak_node: str
    peak_bytes: int
    build: TflmBuild | None

    @property
    def offsets(self) -> dict[str, int]:
        """Where each activation lies, by tensor name."""
        return {buffer.name: buffer.offset for buffer in self.buffers if not buffer.is_scratch}


def build_for(board: Board) -> TflmBuild:
    """How TFLM is compiled for a board: with CMSIS-NN on Arm Cortex-M, else its own kernels."""
    if not board.core.startswith("cortex-m"):
        return TflmBuild()
    simd = next((name for name in ("mve", "dsp") if name in board.features), "none")
    return TflmBuild(kernels="cmsis-nn", simd=simd, short_enums=True)  # type: ignore[arg-type]


def plan_arena(
    graph: Graph,
    build: TflmBuild,
    offsets: Mapping[str, int] | None = None,
    order: Sequence[str] | None = None,
) -> ArenaPlan:
    """Predict the arena of a graph, written as TFLite.

    Args:
        graph: what runs.
        build: how TFLM was compiled.
        offsets: the file's offline plan, by tensor name; tensors that it leaves out are placed
            by TFLM.
        order: tensor names in the file's order, for files that others wrote (the greedy planner
            breaks ties by it); None for the order in which `convert.tflite_writer` numbers them.

    Raises:
        UnsupportedError: the graph holds an op whose kernel is not known.
    """
    kernels = [kernel_memory(graph, node, build) for node in graph.nodes]
    tensors, scratch = activation_buffers(graph, order), scratch_buffers(graph, build)
    buffers = tensors + scratch
    given = offsets or {}
    fixed = [given.get(buffer.name) for buffer in tensors] + [None] * len(scratch)
    where = place(buffers, fixed)
    activations_bytes = height(buffers, where)
    persistent = _Persistent(graph, kernels, build)
    used_bytes, setup_bytes = persistent.sizes(len(buffers))
    persistent_bytes = align(used_bytes, ALIGNMENT)
    placed = tuple(
        PlacedBuffer(b.name, b.size_bytes, b.first, b.last, offset, i >= len(tensors))
        for i, (b, offset) in enumerate(zip(buffers, where, strict=True))
    )
    peak_step, peak_bytes = peak(placed, len(graph.nodes))
    return ArenaPlan(
        arena_bytes=align(max(activations_bytes + persistent_bytes, setup_bytes), ALIGNMENT),
        used_bytes=activations_bytes + used_bytes,
        activations_bytes=activations_bytes,
        persistent_bytes=persistent_bytes,
        setup_bytes=setup_bytes,
        buffers=placed,
        peak_node=graph.nodes[peak_step - 1].name if peak_step else "",
        peak_bytes=peak_bytes,
        build=build,
    )


def activation_buffers(graph: Graph, order: Sequence[str] | None = None) -> list[Buffer]:
    """The activations as buffers, in the order of the TFLite file's tensors (see `plan_arena`).

    Step 0 is before the first node, step i + 1 is node i. Outputs of the graph live to the end.
    """
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    mention = [(0, graph.inputs)]
    mention += [(i, (*n.inputs, *n.outputs)) for i, n in enumerate(graph.nodes, start=1)]
    mention.append((len(graph.nodes), graph.outputs))
    for step, names in mention:
        for name in names:
            first.setdefault(name, step)
            last[name] = step
    return [
        Buffer(name, align(graph.tensors[name].size_bytes, ALIGNMENT), first[name], last[name])
        for name in order or first
        if name in first and not graph.tensors[name].is_constant
    ]


def scratch_buffers(graph: Graph, build: TflmBuild) -> list[Buffer]:
    """What the kernels ask for while they run, each under the name of its node."""
    return [
        Buffer(node.name, align(size, ALIGNMENT), step, step)
        for step, node in enumerate(graph.nodes, start=1)
        for size in kernel_memory(graph, node, build).scratch_bytes
    ]


def peak(buffers: Sequence[PlacedBuffer], steps: int) -> tuple[int, int]:
    """The step with most bytes occupied (the first of several), and those bytes."""
    occupied = [
        _occupied([b for b in buffers if b.first <= step <= b.last]) for step in range(steps + 1)
    ]
    return occupied.index(max(occupied)), max(occupied)


def _occupied(alive: Sequence[PlacedBuffer]) -> int:
    """Bytes under at least one of the buffers: some share their place."""
    total = end = 0
    for buffer in sorted(alive, key=lambda b: b.offset):
        total += max(0, buffer.end - max(end, buffer.offset))
        end = max(end, buffer.end)
    return total


class _Persistent:
    """The end of the arena: allocations in MicroAllocator's order, each aligned downwards."""

    def __init__(self, graph: Graph, kernels: list[KernelMemory], build: TflmBuild) -> None:
        self._graph = graph
        self._kernels = kernels
        self._build = build
        self._used = 0

    def sizes(self, planned_buffers: int) -> tuple[int, int]:
        """(persistent bytes, unrounded; the most that setting up needs at any moment)."""
        self._allocator()
        self._model()
        setup = self._prepare()
        requests = sum(len(kernel.scratch_bytes) for kernel in self._kernels)
        self._take_structs(tflm.SCRATCH_HANDLE, requests)
        setup = max(setup, self._used + self._planning_bytes(requests, planned_buffers))
        self._border(self._graph.inputs)
        self._border(self._graph.outputs)
        return self._used, setup

    def _take(self, size: int, alignment: int = ALIGNMENT) -> None:
        if size:
            self._used = align(self._used + size, alignment)

    def _take_structs(self, fields: str, count: int = 1) -> None:
        """Structures one after the other, on their own alignment."""
        self._take(count * size_of(fields, self._build), alignment_of(fields, self._build))

    def _allocator(self) -> None:
        recorded = tflm.RECORDED_ALLOCATION if self._build.recording else ""
        self._take_structs(tflm.SINGLE_ARENA_ALLOCATOR + recorded)
        self._take_structs(tflm.GREEDY_PLANNER)
        extra = "p" + _RECORDED_KINDS * recorded if recorded else ""
        self._take_structs(tflm.MICRO_ALLOCATOR + extra)
        self._take_structs(tflm.BUILTIN_DATA_ALLOCATOR)

    def _model(self) -> None:
        nodes = self._graph.nodes
        tensors = {*self._graph.inputs, *self._graph.outputs}
        tensors.update(name for node in nodes for name in (*node.inputs, *node.outputs))
        self._take_structs(tflm.SUBGRAPH_ALLOCATIONS)
        self._take_structs(tflm.EVAL_TENSOR, len(tensors))
        self._take_structs(tflm.NODE_AND_REGISTRATION, len(nodes))
        for kernel in self._kernels:
            self._take_structs(kernel.builtin)
        for kernel in self._kernels:
            self._take(size_of(kernel.op_data, self._build))

    def _prepare(self) -> int:
        """Prepare node by node; returns the most bytes any of them needs at once."""
        most = requests = 0
        for node, kernel in zip(self._graph.nodes, self._kernels, strict=True):
            for size in kernel.prepared_bytes:
                self._take(size)
            inputs, outputs = self._graph.inputs_of(node), self._graph.outputs_of(node)
            fetched = [t for count in kernel.fetches for t in (*inputs[:count], *outputs)]
            temps = sum(map(self._tensor_bytes, fetched))
            most = max(most, self._used + self._request_bytes(requests) + temps)
            requests += len(kernel.scratch_bytes)
        return most

    def _request_bytes(self, requests: int) -> int:
        room = requests + _SPARE_SCRATCH_REQUESTS
        return align(room * size_of(tflm.SCRATCH_REQUEST, self._build), ALIGNMENT)

    def _planning_bytes(self, requests: int, planned_buffers: int) -> int:
        """Working memory of the planner: one record a tensor, another a buffer it places."""
        evals = sum(1 for _ in self._graph.constants()) + planned_buffers
        records = evals * size_of(tflm.ALLOCATION_INFO, self._build) + self._build.pointer_bytes
        lists = planned_buffers * size_of(tflm.PLANNED_BUFFER, self._build)
        return self._request_bytes(requests) + align(records, ALIGNMENT) + align(lists, ALIGNMENT)

    def _tensor_bytes(self, tensor: Tensor) -> int:
        """A TfLiteTensor with its quantization and its array of zero points."""
        size = size_of(tflm.TENSOR, self._build)
        if tensor.quantization is None:
            return size
        zero_points = size_of("i" * (1 + len(tensor.quantization.scales)), self._build)
        size += size_of(tflm.AFFINE_QUANTIZATION, self._build)
        return align(size + zero_points, self._build.pointer_bytes)

    def _border(self, names: tuple[str, ...]) -> None:
        """The array of pointers to input or output tensors, then the tensors."""
        self._take(len(names) * self._build.pointer_bytes)
        for name in names:
            self._take(self._tensor_bytes(self._graph.tensors[name]), self._build.pointer_bytes)
