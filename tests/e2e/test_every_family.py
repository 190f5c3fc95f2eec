"""Each family's small networks from torch to TFLite Micro, bit-exact, with nothing left over."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch
from published import seeded

from edgekit.backends.coral import BACKEND
from edgekit.compress.calibrate import calibrate
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, tflite_writer, torch_onnx
from edgekit.convert.onnx_check import check_against_onnxruntime
from edgekit.emulate import tflm
from edgekit.graph import ops
from edgekit.graph.cost import graph_cost
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph
from edgekit.models import layers, registry
from edgekit.models.blocks import Gate
from edgekit.models.cost import cost
from edgekit.models.layers import Layer, PaddingMode, Shape
from edgekit.models.module import build
from edgekit.models.outline import outline
from edgekit.models.spec import ModelSpec
from edgekit.plan.partition import partition

pytestmark = pytest.mark.slow

RESOLUTION = 32
CLASSES = 10
FEW_PARAMETERS = 3_000_000


def narrowest(name: str, padding: PaddingMode = "same") -> ModelSpec:
    alpha = min(registry.get(name).alphas)
    return registry.resolve(name, alpha, resolution=RESOLUTION, classes=CLASSES, padding=padding)


SIZES = {name: cost(narrowest(name)).params for name in registry.names()}
SMALLEST = sorted(
    {registry.get(n).family: n for n in sorted(SIZES, key=SIZES.__getitem__, reverse=True)}.values()
)
SMALL = sorted({*SMALLEST, *(name for name, size in SIZES.items() if size < FEW_PARAMETERS)})


def float_graph(spec: ModelSpec, images: np.ndarray) -> Graph:
    """The network with weights that are nowhere near their start, as onnxruntime computes it."""
    module = build(spec).eval()
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    module.load_state_dict({k: torch.as_tensor(v) for k, v in seeded.weights(shapes).items()})
    onnx_model = torch_onnx.export(module, spec.input_shape)
    torch_onnx.check(onnx_model, module, images.transpose(0, 3, 1, 2))
    graph = onnx_graph.read(onnx_model)
    check_against_onnxruntime(onnx_model, graph, images[:1])
    return graph


def parts(layer: Layer, shape: Shape) -> Iterator[Layer]:
    """A tree's layers and containers."""
    yield layer
    for _, child, at in layer.children(shape):
        yield from parts(child, at)


def count(graph: Graph, *kinds: type[ops.Op]) -> int:
    return sum(isinstance(node.op, kinds) for node in graph.nodes)


def operators(graph: Graph) -> Counter[object]:
    """Every operator with its fused activation and its output's shape, whatever the order."""
    return Counter(
        (type(n.op), getattr(n.op, "activation", None), graph.tensors[n.outputs[0]].shape)
        for n in graph.nodes
    )


@pytest.mark.parametrize("name", SMALL)
def test_int8_equals_tflite_micro(name: str) -> None:
    spec = narrowest(name)
    random = np.random.default_rng(2)
    images = random.uniform(-1, 1, (6, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
    graph = float_graph(spec, images)
    # Without softmax, which would show little more than the largest logit.
    integers = quantize(
        graph, calibrate(graph, [images]), softmax=False, input_range=(-1, 127 / 128)
    )
    pixels = random.integers(-128, 128, (4, RESOLUTION, RESOLUTION, 3), np.int8)
    (expected,) = tflm.run(tflite_writer.write(integers), [pixels])
    (actual,) = run(integers, [pixels])
    np.testing.assert_array_equal(actual, expected)
    assert len(np.unique(actual)) > CLASSES  # of 40 numbers: the network is not stuck

    foretold = outline(spec)
    assert operators(foretold) == operators(graph)
    assert graph_cost(foretold).macs == graph_cost(graph).macs

    tree = list(parts(spec.layers, spec.input_shape[1:]))
    activations = [part.kind for part in tree if isinstance(part, layers.Activation)]
    gates = sum(isinstance(part, Gate) for part in tree)
    swishes = activations.count("swish")
    assert count(integers, ops.Transpose, ops.Pad) == 0
    assert count(integers, ops.HardSwish) == activations.count("hard_swish")
    assert count(integers, ops.Logistic) == swishes + activations.count("sigmoid")
    assert count(integers, ops.Mul) == swishes + gates


@pytest.mark.parametrize("name", SMALLEST)
def test_symmetric_padding_costs_a_pad_for_each_strided_layer_at_most(name: str) -> None:
    spec = narrowest(name, "torch")
    onnx_model = torch_onnx.export(build(spec), spec.input_shape)
    graph = onnx_graph.read(onnx_model)
    strided = sum(
        isinstance(part, layers.Conv | layers.MaxPool) and part.stride > 1
        for part in parts(spec.layers, spec.input_shape[1:])
    )
    assert count(graph, ops.Pad) <= strided
    assert count(graph, ops.Transpose) == 0


def test_hard_swish_written_out_leaves_the_whole_network_to_the_edge_tpu() -> None:
    random = np.random.default_rng(2)
    images = random.uniform(-1, 1, (6, RESOLUTION, RESOLUTION, 3)).astype(np.float32)
    graph = BACKEND.suited(float_graph(narrowest("mobilenet_v3_small"), images))
    integers = quantize(graph, calibrate(graph, [images]), input_range=(-1, 127 / 128))
    assert partition(integers).mapped_count == len(integers.nodes)
    pixels = random.integers(-128, 128, (2, RESOLUTION, RESOLUTION, 3), np.int8)
    (expected,) = tflm.run(tflite_writer.write(integers), [pixels])
    np.testing.assert_array_equal(run(integers, [pixels])[0], expected)
