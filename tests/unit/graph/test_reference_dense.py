"""FullyConnected against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.layer_cases import dense_case
from support.op_cases import (
    ACTIVATIONS,
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    one_op,
    random_scales,
    real,
    rng_of,
)

from edgekit.graph.ir import DType, Quantization, Tensor
from edgekit.graph.ops import FullyConnected


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
