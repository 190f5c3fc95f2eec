"""ONNX models of other exporters: float as onnxruntime, int8 as TFLite Micro, no stray op."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from foreign_models import (
    Values,
    assert_close,
    assert_same,
    models,
    random_inputs,
    smooth,
)

from edgekit.compress.calibrate import Ranges
from edgekit.compress.quantize import quantize
from edgekit.convert import tflite_reader
from edgekit.convert.onnx_graph import read
from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import Array, Graph

# What is refused: the node and its op that the message must name, by file without its exporter.
REFUSED = {
    "keras_leaky_relu": r"LeakyRelu'? \(LeakyRelu\)",
    "keras_lstm": r"while_loop' \(Loop\)",
    "keras_pad_mirror": r"MirrorPad' \(Pad\).*'reflect'",
    "keras_split_unequal": r"\(Split\): splits 8 unevenly",
    "keras_unet_skip": r"\(Tile\)",
    "sklearn_logistic": r"\(ai.onnx.ml.LinearClassifier\)",
    "sklearn_mlp": r"\(ArgMax\)",
    "sklearn_mlp_plain": r"\(ArgMax\)",
    "sklearn_mlp_tanh": r"\(Tanh\)",
    "torch_argmax": r"\(ArgMax\)",
    "torch_conv_transposed": r"\(ConvTranspose\)",
    "torch_convnext": r"\(LayerNormalization\)",
    "torch_coordinate_channels": r"\(Concat\)",
    "torch_elu": r"\(Elu\)",
    "torch_focus": r"\(Slice\): takes \[0:40:2\]",
    "torch_gelu": r"\(Erf\)|\(Gelu\)",
    "torch_ghostnet_odd": r"\(Slice\): takes \[0:13:1\]",
    "torch_group_norm": r"\(InstanceNormalization\)",
    "torch_layer_norm": r"\(LayerNormalization\)",
    "torch_leaky_relu": r"\(LeakyRelu\)",
    "torch_log_softmax": r"\(LogSoftmax\)",
    "torch_lstm": r"\(LSTM\)",
    "torch_matmul_tensors": r"\(MatMul\)",
    "torch_mish": r"\(Mish\)|\(Softplus\)",
    "torch_pixel_shuffle": r"\(DepthToSpace\)",
    "torch_prelu": r"\(PRelu\)",
    "torch_reflection_pad": r"\(Pad\): pads by 'reflect'",
    "torch_slice_rows": r"\(Slice\): takes \[2:17:1\]",
    "torch_spatial_attention": r"\(ReduceMax\): takes the maximum over axes \[1\]",
    "torch_split_unequal": r"\(Split\): splits 8 unevenly",
    "torch_tanh": r"\(Tanh\)",
    "torch_upsample_nearest": r"\(Resize\)",
    "torch_vision_transformer": r"\(Gather\)",
}
# How many transposes are left, where any is: a shuffle moves channels, no view can.
TRANSPOSES = {"keras_channel_shuffle": 1, "torch_shufflenet_v2": 3, "torch_space_to_depth": 1}
TRANSPOSES["paddle_shufflenet_v2"] = 16
SAMPLES = 8


def stem(path: Path) -> str:
    """The file's name without exporter and suffix."""
    return path.name.split(".")[0]


PATHS = models(".onnx")
READ = [path for path in PATHS if stem(path) not in REFUSED]


def named(path: Path) -> str:
    return path.name.removesuffix(".onnx")


def samples_for(graph: Graph, seed: int) -> list[Values]:
    rng = np.random.default_rng(seed)
    return [smooth(rng, SAMPLES, *graph.tensors[name].shape[1:]) for name in graph.inputs]


def as_onnx(sample: Values, source: Any) -> Values:
    """One sample of the graph, (1, ...), in the layout of the ONNX input."""
    wanted = [size if isinstance(size, int) else 1 for size in source.shape]
    if list(sample.shape) != wanted and sample.ndim == 4:
        sample = np.moveaxis(sample, -1, 1)
    return np.ascontiguousarray(sample.reshape(wanted))


def as_graph(values: Values, shape: tuple[int, ...]) -> Values:
    """An ONNX output in the graph's layout: NHWC for pictures."""
    if values.shape[1:] != shape[1:] and values.ndim == 4:
        values = np.moveaxis(values, 1, -1)
    return values.reshape(-1, *shape[1:])


def onnxruntime_outputs(data: bytes, graph: Graph, inputs: list[Values]) -> list[Values]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
    sources = {source.name: source for source in session.get_inputs()}
    answers = []
    for i in range(SAMPLES):
        feeds = {
            name: as_onnx(values[i : i + 1], sources[name])
            for name, values in zip(graph.inputs, inputs, strict=True)
        }
        answers.append(session.run(None, feeds))
    shapes = [graph.tensors[name].shape for name in graph.outputs]
    joined = [np.concatenate(output) for output in zip(*answers, strict=True)]
    return [as_graph(values, shape) for values, shape in zip(joined, shapes, strict=True)]


def calibrated(graph: Graph, inputs: list[Values]) -> Ranges:
    """Every activation's extremes; also for several inputs."""
    extremes: dict[str, tuple[float, float]] = {}

    def watch(name: str, values: Array) -> None:
        low, high = float(values.min()), float(values.max())
        before = extremes.get(name, (low, high))
        extremes[name] = (min(low, before[0]), max(high, before[1]))

    run(graph, inputs, watch)
    return Ranges(extremes, len(inputs[0]))


@pytest.mark.parametrize("path", READ, ids=named)
def test_float_and_int8(path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    data = path.read_bytes()
    graph = read(data)
    inputs = samples_for(graph, seed=1)
    wanted = onnxruntime_outputs(data, graph, inputs)
    assert_close(run(graph, inputs), wanted, 1e-4)
    transposes = [node for node in graph.nodes if node.op.tflite_name == "TRANSPOSE"]
    assert len(transposes) == TRANSPOSES.get(stem(path), 0)

    integer = quantize(graph, calibrated(graph, samples_for(graph, seed=2)), softmax=False)
    written = write(integer)
    steps = random_inputs(integer, SAMPLES)
    ours = run(integer, steps)
    assert_same(ours, tflm.run(written, steps))
    assert_same(run(tflite_reader.read(written), steps), ours)


@pytest.mark.parametrize("path", [path for path in PATHS if stem(path) in REFUSED], ids=named)
def test_refusals(path: Path) -> None:
    with pytest.raises(UnsupportedError, match=REFUSED[stem(path)]) as caught:
        read(path.read_bytes())
    assert str(caught.value).startswith("Node '")
    assert str(caught.value).endswith(".")


def both_exporters() -> list[tuple[Path, Path]]:
    by_name = {path.name: path for path in READ}
    pairs = (
        (path, by_name.get(name.replace(".script", ".dynamo"))) for name, path in by_name.items()
    )
    return [(old, new) for old, new in pairs if new is not None and new is not old]


@pytest.mark.parametrize(("old", "new"), both_exporters(), ids=lambda path: path.name)
def test_both_torch_exporters_give_the_same_ops(old: Path, new: Path) -> None:
    counts = [
        Counter(node.op.tflite_name for node in read(path.read_bytes()).nodes)
        for path in (old, new)
    ]
    assert counts[0] == counts[1]


def test_one_output_of_a_classifier_with_labels() -> None:
    """scikit-learn's labels are computed by an ArgMax; the probabilities can be had alone."""
    path = next(path for path in PATHS if path.name == "sklearn_mlp_plain.onnx")
    graph = read(path.read_bytes(), outputs=["probabilities"])
    names = [node.op.tflite_name for node in graph.nodes]
    assert names == ["FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX"]
