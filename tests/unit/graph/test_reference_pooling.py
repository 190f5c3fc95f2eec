"""AveragePool2D, MaxPool2D and Mean against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.layer_cases import Pool, mean_case, pool_case
from support.op_cases import (
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    ints,
    one_op,
    real,
    rng_of,
)

from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType
from edgekit.graph.ops import AveragePool2D, MaxPool2D, Mean


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", [AveragePool2D, MaxPool2D])
def test_pooling_is_bit_exact(kind: Pool, seed: int) -> None:
    rng = rng_of(kind.__name__, seed)
    assert_equals_tflm(pool_case(kind, rng, DType.INT8), rng)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [AveragePool2D, MaxPool2D])
def test_float_pooling_agrees(kind: Pool, seed: int) -> None:
    rng = rng_of(kind.__name__, "float", seed)
    assert_equals_tflm(pool_case(kind, rng, DType.FLOAT32), rng)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [AveragePool2D, MaxPool2D])
def test_legacy_uint8_pooling_equals_litert(kind: Pool, seed: int) -> None:
    rng = rng_of(kind.__name__, "uint8", seed)
    assert_equals_litert(pool_case(kind, rng, DType.UINT8), rng)


def test_pooling_does_not_rescale() -> None:
    x, y = activation("x", (1, 2, 2, 1), 0.5, 0), activation("y", (1, 1, 1, 1), 0.25, 0)
    with pytest.raises(UnsupportedError, match="same quantization"):
        run(one_op(AveragePool2D((2, 2)), [x], y), [np.zeros((1, 2, 2, 1), np.int8)])


@pytest.mark.parametrize("factor", [0.01, 0.7, 1.0, 1.3, 4.0])
@pytest.mark.parametrize(
    ("axes", "rank"),
    [
        ([1, 2], 4),
        ([2, 1], 4),
        ([-2, -3], 4),
        ([3], 4),
        ([1], 4),
        ([1, 2, 3], 4),
        ([1], 2),
        ([0], 1),
    ],
)
def test_mean_is_bit_exact(axes: list[int], rank: int, factor: float) -> None:
    for seed in range(4):
        rng = rng_of("mean", *(axis % rank for axis in axes), rank, round(factor * 100), seed)
        assert_equals_tflm(mean_case(rng, axes, rank, factor), rng)


@pytest.mark.parametrize("keep_dims", [False, True])
def test_float_mean_agrees(keep_dims: bool) -> None:
    rng = rng_of("mean float")
    y = real("y", (1, 1, 1, 3) if keep_dims else (1, 3))
    graph = one_op(Mean(keep_dims), [real("x", (1, 4, 5, 3)), ints("axes", [1, 2])], y)
    assert_equals_tflm(graph, rng)
