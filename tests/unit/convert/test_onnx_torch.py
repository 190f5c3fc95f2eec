"""Random torch networks, through both exporters: float as onnxruntime, int8 as TFLite Micro."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_cases import assert_matches, ops_of
from support.onnx_models import random

torch = pytest.importorskip("torch", reason="needs edgekit[train]")

from torch import nn  # noqa: E402
from torch_nets import exported, network  # noqa: E402

from edgekit.compress.calibrate import calibrate  # noqa: E402
from edgekit.compress.quantize import quantize  # noqa: E402
from edgekit.convert.tflite_writer import write  # noqa: E402
from edgekit.emulate import tflm  # noqa: E402
from edgekit.graph.execute import run  # noqa: E402
from edgekit.graph.ir import Graph  # noqa: E402


def decibels(wanted: np.ndarray, found: np.ndarray) -> float:
    """Signal to quantization noise ratio."""
    noise = float(np.square(wanted - found).sum())
    return 10 * float(np.log10(np.square(wanted).sum() / max(noise, 1e-30)))


def assert_int8_works(graph: Graph, least_db: float) -> None:
    """The int8 graph is close to the float graph, and exactly what TFLite Micro computes."""
    samples = random(48, *graph.tensors[graph.inputs[0]].shape[1:])
    integer = quantize(graph, calibrate(graph, [samples]), softmax=False)
    source = integer.tensors[integer.inputs[0]].quantization
    assert source is not None
    steps = np.round(samples / source.scale) + source.zero_point
    inputs = np.clip(steps, -128, 127).astype(np.int8)
    (found,) = run(integer, [inputs])
    (on_chip,) = tflm.run(write(integer), [inputs[:4]])
    np.testing.assert_array_equal(on_chip, found[:4])
    target = integer.tensors[integer.outputs[0]].quantization
    assert target is not None
    real = (found.astype(np.float64) - target.zero_point) * target.scale
    assert decibels(run(graph, [samples])[0], real) > least_db


@pytest.mark.parametrize("seed", range(24))
def test_random_networks(seed: int) -> None:
    module, x = network(seed)
    graph = assert_matches(exported(module, x, opset=(11, 13, 17)[seed % 3]))
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    assert_int8_works(graph, least_db=15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 260))
def test_more_random_networks(seed: int) -> None:
    module, x = network(seed)
    graph = assert_matches(exported(module, x, opset=(11, 13, 17)[seed % 3]))
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    assert_int8_works(graph, least_db=15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, 10])
def test_the_other_exporter(seed: int) -> None:
    module, x = network(seed)
    old = assert_matches(exported(module, x))
    new = assert_matches(exported(module, x, dynamo=True))
    assert ops_of(new) == ops_of(old)


def test_inverted_residual_with_gate_leaves_no_stray_op() -> None:
    """MobileNetV3's block: every product and sum but the gate's and the residual's is folded."""
    from torch_nets import Apply, gated

    block = nn.Sequential(
        nn.Conv2d(8, 16, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.Hardswish(),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        Apply(gated, nn.Sequential(nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))),
        nn.Hardswish(),
        nn.Conv2d(16, 8, 1, bias=False),
        nn.BatchNorm2d(8),
    )
    module = Apply(lambda x, part: x + part(x), block).eval()
    graph = assert_matches(exported(module, torch.randn(1, 8, 10, 10)))
    assert ops_of(graph) == [
        *("CONV_2D", "HARD_SWISH", "DEPTHWISE_CONV_2D", "MEAN", "CONV_2D", "CONV_2D"),
        *("MUL", "MUL", "HARD_SWISH", "CONV_2D", "ADD"),
    ]


def test_gate_right_before_the_projection_needs_one_product() -> None:
    from torch_nets import Apply, gated

    module = nn.Sequential(nn.Hardswish(), Apply(gated, nn.Conv2d(8, 8, 1)), nn.Conv2d(8, 4, 1))
    graph = assert_matches(exported(module.eval(), torch.randn(1, 8, 10, 10)))
    assert ops_of(graph) == ["HARD_SWISH", "MEAN", "CONV_2D", "MUL", "CONV_2D"]
