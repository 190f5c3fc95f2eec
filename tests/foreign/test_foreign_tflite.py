"""TFLite models of other converters: read, computed to the bit, written without a bit changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from foreign_models import (
    FLOAT_TOLERANCE,
    Values,
    assert_close,
    assert_same,
    models,
    random_inputs,
)
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.emulate import litert, tflm
from edgekit.errors import UnsupportedError
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph

FEW, MANY = 5, 64

# What is refused: the operator or tensor that the message must name, by file.
REFUSED = {
    "argmax.int8": "ARG_MAX",
    "attention.any_batch": "BATCH_MATMUL",
    "attention.int8": "BATCH_MATMUL",
    "conv_1d.int16": r"CONV_2D\).*int16",
    "conv_3d.int8": "CONV_3D",
    "conv_transposed.int8": "TRANSPOSE_CONV",
    "densenet_like.dynamic_range": r"CONV_2D\).*float32.*int8",
    "densenet_like.int16": r"CONV_2D\).*int16",
    "div_tensors.int8": "ABS",
    "ds_cnn.dynamic_range": r"CONV_2D\).*float32.*int8",
    "ds_cnn.int16": r"CONV_2D\).*int16",
    "elu.int8": "ELU",
    "gather.int8": "GATHER",
    "gelu.int8": "GELU",
    "global_pools.int8": "REDUCE_MAX",
    "gru_unrolled.int8": "UNPACK",
    "layer_norm.int8": "NEG",
    "leaky_relu.int8": "LEAKY_RELU",
    "litert_shufflenet_v2.float": "SLICE",
    "litert_shufflenet_v2.int8": "SLICE",
    "log_softmax.int8": "LOG_SOFTMAX",
    "lstm.float": "Operator 1, WHILE",
    "maximum_tensors.int8": "MAXIMUM",
    "mobilenet_v2_narrow.dynamic_range": r"CONV_2D\).*float32.*int8",
    "mobilenet_v2_narrow.int16": r"CONV_2D\).*int16",
    "pad_mirror.int8": "MIRROR_PAD",
    "prelu.int8": "PRELU",
    "resize_bilinear.int8": "RESIZE_BILINEAR",
    "split_unequal.int8": "SPLIT_V",
    "strided_slice.int8": "STRIDED_SLICE",
    "sum_of_pixels.int8": "SUM",
    "tanh.int8": "TANH",
    "two_inputs.int16": r"\(CONV_2D|FULLY_CONNECTED\).*int16",
    "unet_skip.any_batch": "TILE",
    "unet_skip.int8": "TILE",
}
# What TFLite Micro refuses though edgekit reads it, and its reason; LiteRT is the oracle there.
NOT_ON_CHIP = {
    "uint8_dummy": "Hybrid models are not supported",
    "float16": "kTfLiteInt8",
    "dense_on_pixels.any_batch": "REDUCE_PROD",
    "dense_on_sequence.any_batch": "REDUCE_PROD",
    "tf210_sequence.any_batch": "REDUCE_PROD",
    "reshape_rank_5.int8": "only supports 1D-5D",
}
# TFLite Micro takes these and computes something else: it reads one scale of the weights' many, or
# takes the shapes in the file for true, where the batch is cut into dilated pieces when it runs.
WRONG_ON_CHIP = (
    "litert_squeezenet.weight_only",
    "conv_1d_dilated.any_batch",
    "tf210_dilated.any_batch",
)
# What it refuses written anew as well.
NEVER_ON_CHIP = ("uint8_dummy", "reshape_rank_5.int8")

PATHS = models(".tflite")
READ = [path for path in PATHS if path.stem not in REFUSED]


def named(path: Path) -> str:
    return path.stem


def oracle(name: str, data: bytes, inputs: list[Values]) -> tuple[Values, ...]:
    """The answer of TFLite Micro, or of LiteRT's reference kernels where that has none."""
    reasons = [reason for part, reason in NOT_ON_CHIP.items() if part in name]
    if name not in WRONG_ON_CHIP:
        if not reasons:
            return tflm.run(data, inputs)
        with pytest.raises(UnsupportedError, match=reasons[0]):
            tflm.run(data, inputs)
    return litert.run(data, inputs, litert.Kernels.REFERENCE)


def uncertain_steps(name: str, graph: Graph) -> int:
    """LiteRT rounds once in FULLY_CONNECTED, TFLite Micro and edgekit twice."""
    if any(part in name for part in NOT_ON_CHIP) and any(
        isinstance(node.op, ops.FullyConnected)
        and graph.tensors[node.inputs[0]].dtype is not DType.FLOAT32
        for node in graph.nodes
    ):
        return 2
    return 0


def is_float(graph: Graph) -> bool:
    return all(tensor.dtype is DType.FLOAT32 for n in graph.nodes for tensor in graph.outputs_of(n))


def check(name: str, data: bytes, count: int) -> None:
    graph = read(data)
    inputs = random_inputs(graph, count)
    ours, theirs = run(graph, inputs), oracle(name, data, inputs)
    if is_float(graph):
        assert_close(ours, theirs, FLOAT_TOLERANCE)
    else:
        assert_same(ours, theirs, uncertain_steps(name, graph))
    written = write(graph)
    again = read(written)
    assert write(again) == written
    assert_same(run(again, inputs), ours)
    runtime = litert.Kernels.REFERENCE
    assert_same(litert.run(written, inputs, runtime), litert.run(data, inputs, runtime))
    if not any(part in name for part in NEVER_ON_CHIP):
        compare = assert_close if is_float(graph) else assert_same
        compare(tflm.run(written, inputs), ours, FLOAT_TOLERANCE if is_float(graph) else 0)


@pytest.mark.parametrize("path", READ, ids=named)
def test_bits(path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    check(path.stem, path.read_bytes(), FEW)


@pytest.mark.slow
@pytest.mark.parametrize("path", READ, ids=named)
def test_many_bits(path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    check(path.stem, path.read_bytes(), MANY)


@pytest.mark.parametrize("path", [path for path in PATHS if path.stem in REFUSED], ids=named)
def test_refusals(path: Path) -> None:
    with pytest.raises(UnsupportedError, match=REFUSED[path.stem]) as caught:
        read(path.read_bytes())
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("name", ["models/vww_96_int8.tflite"])
def test_real_models_on_chip(name: str) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    check(Path(name).stem, shared_file(name), FEW)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["0.25_128", "0.5_160"])
def test_real_legacy_models(size: str) -> None:
    """uint8, as Coral's compiler takes them: the only oracle is LiteRT."""
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel")
    data = shared_file(f"coral/mobilenet_v1_{size}_quant.tflite")
    check(f"mobilenet_v1_{size}.uint8_dummy", data, FEW)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("deeplab_mobilenet_edgetpu_slim_cityscapes_quant", "TILE"),
        ("mobilenet_v1_0.25_128_quant_edgetpu", "edgetpu-custom-op"),
    ],
)
def test_real_models_that_are_refused(name: str, what: str) -> None:
    with pytest.raises(UnsupportedError, match=f"Operator .*, {what}, which writes"):
        read(shared_file(f"coral/{name}.tflite"))
