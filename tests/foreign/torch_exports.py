"""Recipes: torch network -> ONNX by either of torch's exporters."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial

import onnx
import torch
import torch_constructs  # noqa: F401  (registers its networks)
from torch_families import NETWORKS

# Opset 17 for the old exporter; the new one writes its own and converts down where it can.
OPSETS = {"script": (17, {"dynamo": False}), "dynamo": (18, {"dynamo": True})}
ANY_BATCH = ("resnet", "shufflenet_v2", "flatten_by_view", "dense_gate", "mobilenet_v3")


def recipes() -> dict[str, Callable[[], bytes]]:
    """File name -> maker."""
    made = {
        f"torch_{name}.{exporter}.onnx": partial(export, name, exporter)
        for name in NETWORKS
        for exporter in OPSETS
    }
    for name in ANY_BATCH:
        for exporter in OPSETS:
            made[f"torch_{name}.{exporter}_any_batch.onnx"] = partial(export, name, exporter, True)
    made["torch_mobilenet_v2.opset_9.onnx"] = partial(export, "mobilenet_v2", "script", opset=9)
    made["torch_mobilenet_v3.opset_11.onnx"] = partial(export, "mobilenet_v3", "script", opset=11)
    return made


def export(name: str, exporter: str, any_batch: bool = False, opset: int | None = None) -> bytes:
    """One network through one exporter."""
    module, inputs = NETWORKS[name]()
    newest, options = OPSETS[exporter]
    if any_batch and exporter == "script":
        names = [f"input_{i}" for i in range(len(inputs))]
        options = options | {"input_names": names, "dynamic_axes": {n: {0: "batch"} for n in names}}
    elif any_batch:
        batch = torch.export.Dim("batch", min=1, max=64)
        options = options | {"dynamic_shapes": tuple({0: batch} for _ in inputs)}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, inputs, file, opset_version=opset or newest, verbose=False, **options
        )
    return _without_traces(file.getvalue())


def _without_traces(data: bytes) -> bytes:
    """Without the notes of which line of which file each node comes from: they name folders."""
    model = onnx.load_model_from_string(data)
    graph = model.graph
    for owner in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        del owner.metadata_props[:]
    return model.SerializeToString()
