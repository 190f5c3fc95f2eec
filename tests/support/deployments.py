"""Small deployments for tests: a random int8 network with golden vectors, for any board."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.backends.base import Deployment, Golden
from edgekit.convert.tflite_writer import write
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.plan import boards
from edgekit.plan.arena import build_for, plan_arena
from edgekit.preprocessing import Preprocessing

from .graphs import convnet

LABELS = ("cat", "dog", 'a "quoted" \\ name', "d\u00e9j\u00e0 vu", "owl")


def deployment(board: str, graph: Graph | None = None, **changes: Any) -> Deployment:
    """A deployment of `graph` (by default the small classifier) with four golden vectors."""
    graph = graph or convnet()
    target = boards.load(board)
    tensor = graph.tensors[graph.inputs[0]]
    assert tensor.quantization is not None
    _, height, width, channels = tensor.shape
    contract = Preprocessing(
        height,
        width,
        color="RGB" if channels == 3 else "L",
        mean=(127.5,) * channels,
        std=(127.5,) * channels,
    ).quantized(tensor.quantization.scale, tensor.quantization.zero_point)
    pixels = np.random.default_rng(5).integers(0, 256, (4, height, width, channels), np.uint8)
    inputs = contract.quantize(pixels)
    (outputs,) = run(graph, [inputs])
    golden = Golden((inputs[:, None],), (outputs.astype(np.int8)[:, None],))
    made = Deployment(
        name="toy_0.25_16",
        graph=graph,
        tflite=write(graph),
        onnx=b"onnx",
        board=target,
        preprocessing=contract,
        labels=LABELS,
        golden=golden,
        arena=plan_arena(graph, build_for(target)),
        provenance={"seed": 0},
    )
    return replace(made, **changes)
