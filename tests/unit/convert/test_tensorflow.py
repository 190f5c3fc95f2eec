"""TensorFlow's converter on edgekit's graphs; skipped where TensorFlow is not installed."""

import numpy as np
import pytest

from edgekit.convert import tensorflow
from edgekit.convert.tflite_reader import read
from edgekit.errors import InputError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph
from edgekit.models import registry
from edgekit.models.outline import outline

pytest.importorskip("tensorflow", reason="needs edgekit[tensorflow]")


def network(arch: str) -> Graph:
    """A small network with weights drawn at random."""
    graph = outline(registry.resolve(arch, alpha=0.25, resolution=32, classes=4))
    rng = np.random.default_rng(0)
    tensors = {
        name: tensor
        if tensor.data is None or tensor.dtype is not DType.FLOAT32
        else type(tensor).constant(
            name, (rng.normal(0, 0.3, tensor.shape)).astype(np.float32), tensor.quantization
        )
        for name, tensor in graph.tensors.items()
    }
    return graph.with_nodes(graph.nodes, tensors)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mobilenet_v1", "mobilenet_v3_small", "resnet8"])
def test_tensorflow_quantizes_the_same_function(arch: str) -> None:
    graph = network(arch)
    samples = np.random.default_rng(1).uniform(-1, 1, (8, 32, 32, 3)).astype(np.float32)
    integer = read(tensorflow.convert(graph, [samples[:5], samples[5:]], softmax=False))
    (floats,) = run(graph, [samples])
    source, output = (integer.tensors[name] for name in (integer.inputs[0], integer.outputs[0]))
    assert source.dtype is output.dtype is DType.INT8
    assert source.quantization is not None and output.quantization is not None
    pixels = np.round(samples / source.quantization.scale) + source.quantization.zero_point
    (ints,) = run(integer, [np.clip(pixels, -128, 127).astype(np.int8)])
    reals = (ints.astype(float) - output.quantization.zero_point) * output.quantization.scale
    noise = ((reals.reshape(floats.shape) - floats) ** 2).mean()
    assert (floats**2).mean() > 20 * noise


def test_without_samples_there_is_nothing_to_calibrate_with() -> None:
    with pytest.raises(InputError, match="calibrate"):
        tensorflow.convert(network("resnet8"), [], softmax=False)
