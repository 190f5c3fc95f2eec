"""What the kernels of TFLite Micro take from the arena, op by op.

A node of a graph and a build of TFLM enter; what the node's kernel allocates leaves. Read off
tflite-micro's micro/builtin_op_data.h and micro/kernels/*.{h,cc}, for CMSIS-NN also its folder
kernels/cmsis_nn and CMSIS-NN's *_get_buffer_size functions. Refused: ops that edgekit only read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Tensor
from edgekit.graph.ops import Op
from edgekit.plan.tflm_memory import TflmBuild, align

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
_POOL = KernelMemory("eiiiie iiii", _POOL_DATA)
_PAD = KernelMemory("", _PAD_DATA)

KERNELS: dict[type[Op], KernelMemory] = {
    ops.Conv2D: KernelMemory("eiieiie", _CONV_DATA, fetches=(2, 3)),
    ops.DepthwiseConv2D: KernelMemory("eiiieii", _CONV_DATA, fetches=(2, 3)),
    ops.FullyConnected: KernelMemory("ee bb e XX", _FULLY_CONNECTED_DATA),
    ops.AveragePool2D: _POOL,
    ops.MaxPool2D: _POOL,
    ops.Mean: KernelMemory("b", "iiii i f i f iii", fetches=(_ALL, _ALL)),
    ops.Add: KernelMemory("eb", "b ii ii iii ii iii ff"),
    ops.Sub: KernelMemory("eb", "b ii ii iii ii iii"),
    ops.Mul: KernelMemory("e", "ii iii ii ff"),
    ops.Concatenation: KernelMemory("ie", "b pp h i f xxxxxxxxxx"),
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
    if kind not in KERNELS:
        raise UnsupportedError(
            f"Node '{node.name}' is {node.op.tflite_name}: its memory in TFLite Micro is not known."
        )
    memory = KERNELS[kind]
    if build.kernels == "cmsis-nn":
        memory = replace(memory, op_data=memory.op_data + _CMSIS_FIELDS.get(kind, ""))
    refine = _REFINEMENTS.get(kind)
    return refine(memory, graph, node, build) if refine else memory


def _conv(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    op = node.op
    assert isinstance(op, ops.Conv2D)
    x, weights = graph.inputs_of(node)[:2]
    out_channels, height, width, group_channels = weights.shape
    if _is_float_in_cmsis_nn(x, build):
        return memory
    memory = replace(memory, prepared_bytes=(4 * out_channels, 4 * out_channels))
    # arm_convolve_1x1_s8 needs no buffer; with one tap SAME never pads.
    pointwise = (height, width, *op.dilation, group_channels) == (1, 1, 1, 1, x.shape[-1])
    if build.kernels == "reference" or pointwise:
        return memory
    columns = height * width * x.shape[-1]
    panel = 4 * align(columns, 16) if build.simd == "mve" else 2 * 2 * align(columns, 4)
    return replace(memory, scratch_bytes=(panel,))


def _depthwise(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    op = node.op
    assert isinstance(op, ops.DepthwiseConv2D)
    x, weights = graph.inputs_of(node)[:2]
    _, height, width, out_channels = weights.shape
    if _is_float_in_cmsis_nn(x, build):
        return memory
    memory = replace(memory, prepared_bytes=(4 * out_channels, 4 * out_channels))
    generic = x.shape[0] != 1 or x.shape[-1] != out_channels or op.dilation != (1, 1)
    if build.kernels == "reference" or build.simd == "none" or generic:
        return memory
    if build.simd == "mve":
        return replace(memory, scratch_bytes=(4 * _MVE_DEPTHWISE_BLOCK * height * width,))
    if (height, width) == (3, 3):  # 3x3 kernels never pad by more than 1 on the left
        return memory
    return replace(memory, scratch_bytes=(2 * out_channels * height * width,))


def _dense(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    x, weights = graph.inputs_of(node)[:2]
    if x.dtype is DType.FLOAT32:
        return memory
    units, depth = weights.shape
    if weights.quantization is not None and weights.quantization.is_per_channel:
        memory = replace(memory, prepared_bytes=(4 * units, 4 * units))
    extra: tuple[int, ...] = ()
    if build.kernels == "cmsis-nn" and len(graph.outputs_of(node)[0].shape) > 2 and depth % 4 == 0:
        extra = (4 * units, 4 * units)
    elif build.simd == "mve":
        extra = (4 * units,)
    return replace(memory, prepared_bytes=(*memory.prepared_bytes, *extra))


def _average(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    x = graph.inputs_of(node)[0]
    if build.kernels == "reference" or build.simd != "dsp" or x.dtype is DType.FLOAT32:
        return memory
    return replace(memory, scratch_bytes=(4 * x.shape[-1],))


def _mean(memory: KernelMemory, graph: Graph, node: Node, build: TflmBuild) -> KernelMemory:
    x, axes = graph.inputs_of(node)
    sums = () if x.dtype is DType.FLOAT32 else (4 * graph.outputs_of(node)[0].elements,)
    return replace(memory, scratch_bytes=(*sums, 4 * len(x.shape), 4 * axes.elements))


def _is_float_in_cmsis_nn(x: Tensor, build: TflmBuild) -> bool:
    """CMSIS-NN's convolutions prepare nothing for float; TFLM's own do, without using it."""
    return build.kernels == "cmsis-nn" and x.dtype is DType.FLOAT32


_REFINEMENTS: dict[type[Op], Callable[[KernelMemory, Graph, Node, TflmBuild], KernelMemory]] = {
    ops.Conv2D: _conv,
    ops.DepthwiseConv2D: _depthwise,
    ops.FullyConnected: _dense,
    ops.AveragePool2D: _average,
    ops.Mean: _mean,
}
