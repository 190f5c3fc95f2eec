"""Graph -> Program: each op's own file says which kernel computes it.

An integer graph enters, a `Program` leaves, whose graph has int8 activations even where they were
uint8 (see `unsigned`). Refused: ops and element types that no kernel of the
runtime computes, named with their node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import Graph, Node
from edgekit.graph.reference.call import Call
from edgekit.lower import dense_dsp, depthwise_dsp, dsp, mve, mve_pooling, pooling_dsp, thumb
from edgekit.lower.cost import cheapest
from edgekit.lower.elementwise import add_or_sub, lookup, mul, rescale
from edgekit.lower.isa import Isa
from edgekit.lower.movement import (
    concatenation,
    dequantize,
    pad,
    quantize,
    split,
    transpose,
    view,
)
from edgekit.lower.pooling import average_pool_2d, max_pool_2d, mean
from edgekit.lower.products import conv_2d, depthwise_conv_2d, fully_connected
from edgekit.lower.program import Program, Step
from edgekit.lower.scores import softmax
from edgekit.lower.unsigned import Rescale, UnsignedAveragePool2D, with_signed_activations

Lowering = Callable[[Any, Call], Step]
FastLowering = Callable[[Any, Call], Step | None]

LOWERINGS: Mapping[type[ops.Op], Lowering] = {
    ops.Conv2D: conv_2d,
    ops.DepthwiseConv2D: depthwise_conv_2d,
    ops.FullyConnected: fully_connected,
    ops.AveragePool2D: average_pool_2d,
    UnsignedAveragePool2D: average_pool_2d,
    ops.MaxPool2D: max_pool_2d,
    ops.Mean: mean,
    ops.Add: add_or_sub,
    ops.Sub: add_or_sub,
    ops.Mul: mul,
    ops.Concatenation: concatenation,
    ops.Pad: pad,
    ops.PadV2: pad,
    ops.Softmax: softmax,
    ops.Logistic: lookup,
    ops.HardSwish: lookup,
    ops.Relu: lookup,
    ops.Relu6: lookup,
    ops.Reshape: view,
    ops.Squeeze: view,
    ops.ExpandDims: view,
    ops.Transpose: transpose,
    ops.Split: split,
    ops.Quantize: quantize,
    ops.Dequantize: dequantize,
    Rescale: rescale,
}

# Kernels of an instruction set; None where they do not apply. Of all that apply the cheapest by its
# estimate is taken, or the first one, the portable one last, where not all were measured.
FAST_LOWERINGS: Mapping[Isa, Mapping[type[ops.Op], tuple[FastLowering, ...]]] = {
    Isa.THUMB: {ops.Conv2D: (thumb.conv_2d,), ops.DepthwiseConv2D: (thumb.depthwise_conv_2d,)},
    Isa.DSP: {
        ops.Conv2D: (dsp.conv_2d,),
        ops.DepthwiseConv2D: (depthwise_dsp.strips, depthwise_dsp.pixels),
        ops.FullyConnected: (dense_dsp.fully_connected,),
        ops.AveragePool2D: (pooling_dsp.average_pool_2d,),
        UnsignedAveragePool2D: (pooling_dsp.average_pool_2d,),
        ops.MaxPool2D: (pooling_dsp.max_pool_2d,),
        ops.Mean: (pooling_dsp.mean,),
    },
    Isa.MVE: {
        ops.Conv2D: (mve.conv_2d,),
        ops.DepthwiseConv2D: (mve.depthwise_conv_2d,),
        ops.FullyConnected: (mve.fully_connected,),
        ops.Add: (mve.add_or_sub,),
        ops.Sub: (mve.add_or_sub,),
        ops.AveragePool2D: (mve_pooling.average_pool_2d,),
        ops.MaxPool2D: (mve_pooling.max_pool_2d,),
    },
}


def lower(graph: Graph, isa: Isa = Isa.PORTABLE) -> Program:
    """The program of a graph, with the cheapest kernels for a processor.

    Raises:
        UnsupportedError: names the first node that no kernel computes.
    """
    graph = with_signed_activations(graph)
    steps = (cheapest(graph, candidates(graph, node, isa), isa) for node in graph.nodes)
    return Program(graph, tuple(steps))


def candidates(graph: Graph, node: Node, isa: Isa) -> tuple[Step, ...]:
    """Every way to compute a node, the portable one last.

    Raises:
        UnsupportedError: no kernel computes it.
    """
    inputs = graph.inputs_of(node)
    absent = np.empty(0)  # an activation has no value yet
    values = tuple(absent if tensor.data is None else tensor.data for tensor in inputs)
    call = Call(node, inputs, graph.outputs_of(node), values)
    portable = LOWERINGS.get(type(node.op))
    if portable is None:
        raise UnsupportedError(
            f"{node.op.tflite_name} '{node.name}' has no C kernel.",
            hint="Build for tflm, rpi or coral, or replace the op; docs/ops.md lists the kernels.",
        )
    fast = (
        lowering(node.op, call)
        for extension in isa.kernels
        for lowering in FAST_LOWERINGS[extension].get(type(node.op), ())
    )
    return (*(step for step in fast if step is not None), portable(node.op, call))
