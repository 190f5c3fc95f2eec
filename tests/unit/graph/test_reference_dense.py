"""FullyConnected against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import (
    ACTIVATIONS,
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    one_op,
    random_scales,
    real,
    rng_of,
)

from edgekit.graph.ir import DType, Graph, Quantization, Tensor
from edgekit.graph.ops import FullyConnected


def dense_case(rng: np.random.Generator, per_channel: bool, dtype: DType = DType.INT8) -> Graph:
    batch, depth, outputs = (int(n) for n in rng.integers(1, [5, 65, 17]))
    scales = random_scales(rng, outputs, depth, per_channel)
    limits = np.iinfo(dtype.numpy)
    zero_points = np.zeros(len(scales.weights), np.int64)
    if dtype is DType.UINT8:
        zero_points[:] = rng.integers(0, 256)
    weights = Tensor.constant(
        "weights",
        rng.integers(limits.min + 1, limits.max + 1, (outputs, depth)).astype(dtype.numpy),
        Quantization(scales.weights, zero_points, 0),
    )
    op = FullyConnected(ACTIVATIONS[rng.integers(4)])
    shift = 0 if dtype is DType.INT8 else 128
    x = activation("x", (batch, depth), scales.input, scales.input_zero_point + shift, dtype)
    y = activation("y", (batch, outputs), scales.output, scales.output_zero_point + shift, dtype)
    inputs = [x, weights]
    if rng.integers(4):
        inputs.append(scales.bias(rng, outputs, int(2 ** rng.uniform(0, 16))))
    return one_op(op, inputs, y)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("per_channel", [False, True])
def test_is_bit_exact(per_channel: bool, seed: int) -> None:
    rng = rng_of("dense", int(per_channel), seed)
    assert_equals_tflm(dense_case(rng, per_channel), rng)


@pytest.mark.parametrize("seed", range(10))
def test_legacy_uint8_equals_litert(seed: int) -> None:
    rng = rng_of("dense uint8", seed)
    graph = dense_case(rng, per_channel=False, dtype=DType.UINT8)
    assert_equals_litert(graph, rng)


def test_leading_dimensions_are_kept() -> None:
    rng = rng_of("keep dims")
    scales = random_scales(rng, 5, 7, per_channel=False)
    weights = Tensor.constant(
        "weights",
        rng.integers(-127, 128, (5, 7)).astype(np.int8),
        Quantization(scales.weights, np.zeros(1, np.int64)),
    )
    x = activation("x", (2, 3, 7), scales.input, 4)
    y = activation("y", (2, 3, 5), scales.output, -3)
    assert_equals_tflm(one_op(FullyConnected(keep_dims=True), [x, weights], y), rng)


def test_image_is_read_as_rows() -> None:
    rng = rng_of("rows")
    scales = random_scales(rng, 5, 8, per_channel=False)
    weights = Tensor.constant(
        "weights",
        rng.integers(-127, 128, (5, 8)).astype(np.int8),
        Quantization(scales.weights, np.zeros(1, np.int64)),
    )
    x = activation("x", (1, 3, 2, 8), scales.input, 4)
    y = activation("y", (6, 5), scales.output, -3)
    assert_equals_tflm(one_op(FullyConnected(), [x, weights], y), rng)


@pytest.mark.parametrize("bias", [False, True])
def test_float_agrees(bias: bool) -> None:
    rng = rng_of("dense float")
    weights = Tensor.constant("weights", rng.standard_normal((5, 7)).astype(np.float32))
    inputs = [real("x", (3, 7)), weights]
    if bias:
        inputs.append(Tensor.constant("bias", rng.standard_normal(5).astype(np.float32)))
    for fused in ACTIVATIONS:
        assert_equals_tflm(one_op(FullyConnected(fused), inputs, real("y", (3, 5))), rng)
