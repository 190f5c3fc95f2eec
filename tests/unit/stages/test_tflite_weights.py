"""Weights go through a graph, with BatchNorm folded, and come back as the same network."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from published import seeded

from edgekit.convert import onnx_graph, torch_onnx
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph.ir import Graph
from edgekit.graph.ops import Conv2D
from edgekit.models.checkpoints import load_state
from edgekit.models.module import build
from edgekit.models.registry import resolve
from edgekit.models.spec import ModelSpec
from edgekit.stages.tflite_weights import state_of

SPECS = {
    "mobilenet_v1": resolve("mobilenet_v1", 0.25, resolution=32, classes=4),
    "mobilenet_v2": resolve("mobilenet_v2", 0.35, resolution=32, classes=4),
    "efficientnet_b0": resolve("efficientnet_b0", 0.25, resolution=32, classes=4),
}


def published(spec: ModelSpec) -> torch.nn.Module:
    module = build(spec).eval()
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    state = seeded.weights(shapes)
    module.load_state_dict({name: torch.as_tensor(value) for name, value in state.items()})
    return module


def graph_of(spec: ModelSpec, module: torch.nn.Module) -> Graph:
    return onnx_graph.read(torch_onnx.export(module, spec.input_shape, spec.arch))


@pytest.mark.parametrize(
    "arch",
    [
        "mobilenet_v1",
        pytest.param("mobilenet_v2", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", marks=pytest.mark.slow),
    ],
)
def test_folded_weights_give_the_same_logits(arch: str) -> None:
    spec = SPECS[arch]
    module, again = published(spec), build(spec).eval()
    load_state(again, state_of(graph_of(spec, module), spec), "a graph", "Loaded")
    images = torch.from_numpy(seeded.images(32))
    with torch.no_grad():
        expected, found = module(images).numpy(), again(images).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_another_stride_is_refused_by_the_layer() -> None:
    spec = SPECS["mobilenet_v1"]
    graph = graph_of(spec, published(spec))
    first = next(node for node in graph.nodes if isinstance(node.op, Conv2D))
    wider = replace(first, op=replace(first.op, stride=(1, 1)))
    nodes = tuple(wider if node is first else node for node in graph.nodes)
    with pytest.raises(InputError, match="has stride 1, where 'conv_stem' has 2"):
        state_of(replace(graph, nodes=nodes), spec)


@pytest.mark.parametrize(
    ("arch", "why"),
    [
        ("mobilenet_v3_small", "move constants of 'features.0.2'"),
        ("densenet121", "no convolution precedes its BatchNorm 'features.denseblock1"),
        ("resnet20", "the order of its shortcuts"),
    ],
)
def test_what_could_go_wrong_unnoticed_is_refused(arch: str, why: str) -> None:
    nothing = Graph("empty", {}, (), (), ())
    with pytest.raises(UnsupportedError, match=why) as caught:
        state_of(nothing, resolve(arch, resolution=32, classes=4))
    assert "Give a checkpoint" in caught.value.hint
