"""What TFLite Micro takes from the arena besides tensors, structure by structure.

A build of TFLM (pointer size, kernel library) and a node enter; what the node's kernel allocates
leaves. A structure is written as a string of field types, see `size_of`, so that one description
serves 32-bit chips and the 64-bit host. Read off tflite-micro's headers (c/common.h,
c/builtin_op_data.h, micro_allocator.h, kernels/*.h, kernels/cmsis_nn/*.cc) and CMSIS-NN's
*_get_buffer_size functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.ops import Op

KernelLibrary = Literal["reference", "cmsis-nn"]
Simd = Literal["none", "dsp", "mve"]


@dataclass(frozen=True)
class TflmBuild:
    """How TFLite Micro was compiled, as far as its memory depends on it.

    Attributes:
        pointer_bytes: 4 on microcontrollers, 8 on the host.
        kernels: which kernel library was linked.
        simd: the Arm extension CMSIS-NN was compiled for.
        compression: whether TFLM was built with USE_TFLM_COMPRESSION.
        recording: whether the allocator keeps statistics, as the Python package's does.
    """

    pointer_bytes: Literal[4, 8] = 4
    kernels: KernelLibrary = "reference"
    simd: Simd = "none"
    compression: bool = False
    recording: bool = False


HOST = TflmBuild(pointer_bytes=8, compression=True, recording=True)

# The allocator's own structures.
SINGLE_ARENA_ALLOCATOR = "pp ppppp pp b"
GREEDY_PLANNER = "p ii pppp ii p b"
MICRO_ALLOCATOR = "p pppp b ppp"
BUILTIN_DATA_ALLOCATOR = "pp"
SUBGRAPH_ALLOCATIONS = "ppX"
RECORDED_ALLOCATION = "ppp"
# One of each a tensor, a node, a scratch buffer.
EVAL_TENSOR = "ppi"
NODE_AND_REGISTRATION = "ppppppip"
SCRATCH_HANDLE = "p"
SCRATCH_REQUEST = "pii"
TENSOR = "ip fi ppp ii b"
AFFINE_QUANTIZATION = "ppi"
# While the arena is planned.
ALLOCATION_INFO = "pp iii b"
PLANNED_BUFFER = "iiii ii iii i"

_INT_BYTES = {"i": 4, "f": 4, "x": 4, "b": 1, "h": 2, "d": 8}


def size_of(fields: str, build: TflmBuild) -> int:
    """Bytes of a C structure, each field on its own alignment, the whole on its largest.

    Args:
        fields: one letter a field: i int32, int or enum; f float; d double; h int16; b bool or
            int8; p anything as wide as a pointer; x an int and X a pointer that only builds with
            compression have; spaces group them as the header does.
        build: says how wide a pointer is.
    """
    offset = 0
    for width in _widths(fields, build):
        offset = align(offset, width) + width
    return align(offset, alignment_of(fields, build))


def alignment_of(fields: str, build: TflmBuild) -> int:
    """The alignment of a C structure: that of its widest field."""
    return max(_widths(fields, build), default=1)


def _widths(fields: str, build: TflmBuild) -> list[int]:
    absent = " " if build.compression else " xX"
    return [_INT_BYTES.get(field, build.pointer_bytes) for field in fields if field not in absent]


def align(value: int, alignment: int) -> int:
    """The value rounded up to a multiple."""
    return -(-value // alignment) * alignment


_ALL = 1_000_000  # more inputs than any node has


@dataclass(frozen=True)
class KernelMemory:
    """What one node's kernel takes from the arena.

    Attributes:
        builtin: fields of the parsed options; empty if the op has none.
        op_data: fields of what its Init allocates; empty if nothing.
        prepared_bytes: further persistent buffers of its Prepare.
        scratch_bytes: buffers alive only while the node runs.
        fetches: how many inputs its Prepare fetches, besides the outputs, each time that it does so
            while it still holds those fetched before.
    """

    builtin: str = ""
    op_data: str = ""
    prepared_bytes: tuple[int, ...] = ()
    scratch_bytes: tuple[int, ...] = ()
    fetches: tuple[int, ...] = (_ALL,)


_CONV_DATA = "iiii iii ii pp ii i xx"
_FULLY_CONNECTED_DATA = "ii ii i iii i pp b xx"
_POOL_DATA = "iiii ii ff"
_SOFTMAX_DATA = "d iiiiii f ppppp"
_PAD_DATA = "b iiiii b iiiii i i"
_POOL = KernelMemory("iiiiii iiii", _POOL_DATA)
_PAD = KernelMemory("", _PAD_DATA)

_KERNELS: dict[type[Op], KernelMemory] = {
    ops.Conv2D: KernelMemory("iiiiiii", _CONV_DATA, fetches=(2, 3)),
    ops.DepthwiseConv2D: KernelMemory("iiiiiii", _CONV_DATA, fetches=(2, 3)),
    ops.FullyConnected: KernelMemory("ii bb i pp", _FULLY_CONNECTED_DATA),
    ops.AveragePool2D: _POOL,
    ops.MaxPool2D: _POOL,
    ops.Mean: KernelMemory("b", "iiii i f i f iii", fetches=(_ALL, _ALL)),
    ops.Add: KernelMemory("ib", "b ii ii iii ii iii ff"),
    ops.Sub: KernelMemory("ib", "b ii ii iii ii iii"),
    ops.Mul: KernelMemory("i", "ii iii ii ff"),
    ops.Concatenation: KernelMemory("ii", "b pp h i f xxxxxxxxxx"),
    ops.Pad: _PAD,
    ops.PadV2: _PAD,
    ops.Softmax: KernelMemory("f", _SOFTMAX_DATA),
    ops.Logistic: KernelMemory("", "iiii"),
    ops.HardSwish: KernelMemory("", "hhh i h i"),
    ops.Relu: KernelMemory("", "iiiiiii"),
    ops.Relu6: KernelMemory("", "ii"),
    ops.Reshape: KernelMemory("iiiiiiiii"),
    ops.Squeeze: KernelMemory("iiiiiiiii"),
    ops.ExpandDims: KernelMemory(),
    ops.Transpose: KernelMemory(),
    ops.Split: KernelMemory("i"),
    ops.Quantize: KernelMemory("", "id iii"),
    ops.Dequantize: KernelMemory("", "dd iii"),
}

# What CMSIS-NN's variants of the kernels add to the op data.
_CMSIS_FIELDS: dict[type[Op], str] = {
    ops.Conv2D: "i",
    ops.DepthwiseConv2D: "i",
    ops.FullyConnected: "pp i p iii",
    ops.AveragePool2D: "i",
    ops.MaxPool2D: "i",
    ops.Softmax: "ii",
}
# Channels that CMSIS-NN's MVE depthwise kernel works on at once (CH_IN_BLOCK_MVE).
_MVE_DEPTHWISE_BLOCK = 124


def kernel_memory(graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    """What the kernel of one node takes.

    Raises:
        UnsupportedError: an op that edgekit only read and does not know.
    """
    kind = type(node.op)
    if kind not in _KERNELS:
        raise UnsupportedError(
            f"Node '{node.name}' is {node.op.tflite_name}: its memory in TFLite Micro is not known."
        )
    memory = _KERNELS[kind]
    if build.kernels == "cmsis-nn":
        memory = replace(memory, op_data=memory.op_data + _CMSIS_FIELDS.get(kind, ""))
    refine = _REFINEMENTS.get(kind)
    return refine(memory, graph, node, build) if refine else memory


def _conv(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    x, weights = graph.inputs_of(node)[:2]
    out_channels, height, width, _ = weights.shape
    memory = replace(memory, prepared_bytes=(4 * out_channels, 4 * out_channels))
    if build.kernels == "reference" or _is_pointwise(node.op, height, width):
        return memory
    columns = height * width * x.shape[-1]
    panel = 4 * align(columns, 16) if build.simd == "mve" else 2 * 2 * align(columns, 4)
    return replace(memory, scratch_bytes=(panel,))


def _is_pointwise(op: Op, height: int, width: int) -> bool:
    """arm_convolve_1x1_s8 needs no buffer; with one tap SAME never pads."""
    assert isinstance(op, ops.Conv2D)
    return (height, width, *op.dilation) == (1, 1, 1, 1)


def _depthwise(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    op = node.op
    assert isinstance(op, ops.DepthwiseConv2D)
    x, weights = graph.inputs_of(node)[:2]
    _, height, width, out_channels = weights.shape
    memory = replace(memory, prepared_bytes=(4 * out_channels, 4 * out_channels))
    generic = x.shape[-1] != out_channels or op.dilation != (1, 1)
    if build.kernels == "reference" or build.simd == "none" or generic:
        return memory
    if build.simd == "mve":
        return replace(memory, scratch_bytes=(4 * _MVE_DEPTHWISE_BLOCK * height * width,))
    if (height, width) == (3, 3):  # 3x3 kernels never pad by more than 1 on the left
        return memory
    return replace(memory, scratch_bytes=(2 * out_channels * height * width,))


def _dense(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    if build.kernels == "reference":
        return memory
    units, depth = graph.inputs_of(node)[1].shape
    if len(graph.outputs_of(node)[0].shape) > 2 and depth % 4 == 0:
        return replace(memory, prepared_bytes=(4 * units, 4 * units))
    return replace(memory, prepared_bytes=(4 * units,)) if build.simd == "mve" else memory


def _average(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    if build.kernels == "reference" or build.simd != "dsp":
        return memory
    return replace(memory, scratch_bytes=(4 * graph.inputs_of(node)[0].shape[-1],))


def _mean(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    x, axes = graph.inputs_of(node)
    sums = 4 * graph.outputs_of(node)[0].elements
    return replace(memory, scratch_bytes=(sums, 4 * len(x.shape), 4 * axes.elements))


_REFINEMENTS: dict[type[Op], Callable[[KernelMemory, Graph, Node, TflmBuild], KernelMemory]] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
    ops.FullyConnected: _dense,
    ops.AveragePool2D: _average,
    ops.Mean: _mean,
}
