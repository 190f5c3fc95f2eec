"""The mission's own network on 200 real test pictures: bit-exact with TFLite Micro."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

import torch

from edgekit import data
from edgekit.compress.calibrate import calibrate
from edgekit.compress.quantize import quantize
from edgekit.convert import onnx_graph, tflite_writer, torch_onnx
from edgekit.emulate import tflm
from edgekit.graph.execute import run
from edgekit.models import registry
from edgekit.models.module import build

pytestmark = pytest.mark.slow


def test_int8_equals_tflite_micro_on_200_test_pictures() -> None:
    spec = registry.resolve("mobilenet_v1", 0.25, 0.571, classes=10)
    dataset = data.load()
    contract = dataset.preprocessing(spec.resolution, spec.resolution)
    torch.manual_seed(0)
    onnx_model = torch_onnx.export(build(spec), spec.input_shape)
    pixels = dataset.splits["calibration"].pixels(range(50), contract)
    float_graph = onnx_graph.read(onnx_model)
    graph = quantize(
        float_graph, calibrate(float_graph, [contract.normalize(pixels)]), input_range=(-1, 1)
    )
    inputs = dataset.splits["test"].pixels(range(200), contract)
    quantization = graph.tensors[graph.inputs[0]].quantization
    assert quantization is not None
    integers = contract.quantized(quantization.scale, quantization.zero_point).quantize(inputs)
    (expected,) = tflm.run(tflite_writer.write(graph), [integers])
    (actual,) = run(graph, [integers])
    np.testing.assert_array_equal(actual, expected)
    assert len(graph.nodes) <= 31
