"""Small deployments for tests: random networks with golden vectors, for any board."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.backends.base import Deployment, Golden, Values
from edgekit.convert.tflite_writer import write
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Tensor
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.plan import boards
from edgekit.plan.arena import build_for, plan_arena
from edgekit.plan.static_memory import arena_plan, plan_memory
from edgekit.preprocessing import Preprocessing

from .graphs import convnet

LABELS = ("cat", "dog", 'a "quoted" \\ name', "d\u00e9j\u00e0 vu", "owl")
SAMPLES = 4


def deployment(board: str, graph: Graph | None = None, **changes: Any) -> Deployment:
    """The small classifier, or another network that reads pictures and has five classes."""
    graph = graph or convnet()
    contract = picture_contract(graph.tensors[graph.inputs[0]])
    return bare_deployment(board, graph, **{"preprocessing": contract, "labels": LABELS, **changes})


def bare_deployment(
    board: str,
    graph: Graph,
    *,
    preprocessing: Preprocessing | None = None,
    tflite: bytes | None = None,
    **changes: Any,
) -> Deployment:
    """Any network, without labels: it reads pictures if there is a preprocessing, else arrays."""
    target = boards.load(board)
    made = Deployment(
        name="toy_0.25_16",
        graph=graph,
        tflite=tflite or write(graph),
        onnx=b"onnx",
        board=target,
        preprocessing=preprocessing,
        labels=None,
        golden=golden(graph),
        arena=plan_arena(graph, build_for(target)),
        provenance={"seed": 0},
    )
    return replace(made, **changes)


def as_program(made: Deployment) -> Deployment:
    """The same for the backend c, whose arena is the generated program's."""
    program = lower(made.graph, Isa.of(made.board.core))
    return replace(made, arena=arena_plan(program, plan_memory(program)))


def picture_contract(tensor: Tensor) -> Preprocessing:
    """How pictures become an input tensor (1, height, width, channels) of any type."""
    _, height, width, channels = tensor.shape
    contract = Preprocessing(
        height,
        width,
        color="RGB" if channels == 3 else "L",
        mean=(127.5,) * channels,
        std=(127.5,) * channels,
    )
    if tensor.quantization is None:
        return contract
    offset = 128 if tensor.dtype is DType.UINT8 else 0
    return contract.quantized(tensor.quantization.scale, tensor.quantization.zero_point - offset)


def golden(graph: Graph) -> Golden:
    """Random inputs over all that each type holds, and the outputs."""
    random = np.random.default_rng(5)
    inputs = tuple(_random(graph.tensors[name], random) for name in graph.inputs)
    rows = [run(graph, sample) for sample in zip(*inputs, strict=True)]
    return Golden(inputs, tuple(np.stack(column) for column in zip(*rows, strict=True)))


def _random(tensor: Tensor, random: np.random.Generator) -> Values:
    shape = (SAMPLES, *tensor.shape)
    if tensor.dtype is DType.FLOAT32:
        return random.standard_normal(shape).astype(np.float32)
    low, high = tensor.dtype.limits
    return random.integers(low, high, shape, tensor.dtype.numpy, endpoint=True)
