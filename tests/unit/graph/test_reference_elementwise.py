"""Add, Sub and Mul against the TFLite Micro wheel."""

from __future__ import annotations

import numpy as np
import pytest
from support.layer_cases import Binary, binary_case
from support.op_cases import (
    ACTIVATIONS,
    activation,
    assert_equals_litert,
    assert_equals_tflm,
    one_op,
    real,
    rng_of,
)

from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType
from edgekit.graph.ops import Add, Mul, Sub

SHAPES = [
    ((1, 5, 4, 3), (1, 5, 4, 3)),
    ((1, 5, 4, 3), (1, 1, 1, 3)),
    ((1, 1, 1, 3), (1, 5, 4, 3)),
    ((1, 5, 4, 3), (1, 1, 1, 1)),
    ((1, 5, 4, 3), (3,)),
    ((2, 7), (2, 7)),
    ((1, 5, 1, 3), (1, 1, 4, 3)),
]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [Add, Sub, Mul])
def test_is_bit_exact(
    kind: Binary, shapes: tuple[tuple[int, ...], tuple[int, ...]], seed: int
) -> None:
    rng = rng_of(kind.__name__, str(shapes), seed)
    assert_equals_tflm(binary_case(kind, rng, shapes), rng)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [Add, Sub, Mul])
def test_legacy_uint8_equals_litert(kind: Binary, seed: int) -> None:
    rng = rng_of(kind.__name__, "uint8", seed)
    assert_equals_litert(binary_case(kind, rng, SHAPES[0], DType.UINT8), rng)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [Add, Sub, Mul])
def test_float_agrees(kind: Binary, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = rng_of(kind.__name__, "float")
    y = real("y", np.broadcast_shapes(*shapes))
    for fused in ACTIVATIONS:
        graph = one_op(kind(fused), [real("a", shapes[0]), real("b", shapes[1])], y)
        assert_equals_tflm(graph, rng)


def test_one_tensor_added_to_itself() -> None:
    rng = rng_of("twice")
    x = activation("x", (1, 3, 3, 2), 0.1, 5)
    assert_equals_tflm(one_op(Add(), [x, x], activation("y", x.shape, 0.2, 5)), rng)


@pytest.mark.parametrize("kind", [Add, Sub])
def test_output_scales_far_below_the_inputs_are_refused(kind: Binary) -> None:
    """TFLite Micro ends the process there: its factor must be below one."""
    x = activation("x", (1, 2), 1.0, 0)
    graph = one_op(kind(), [x, x], activation("y", (1, 2), 1e-6, 0))
    with pytest.raises(UnsupportedError, match="needs an output scale above"):
        run(graph, [np.zeros((1, 2), np.int8)])


def test_operands_of_two_types_are_refused() -> None:
    a, b = activation("a", (1, 2), 1.0, 0), activation("b", (1, 2), 1.0, 0, DType.UINT8)
    graph = one_op(Add(), [a, b], activation("y", (1, 2), 1.0, 0))
    with pytest.raises(UnsupportedError, match="operands of one type"):
        run(graph, [np.zeros((1, 2), np.int8), np.zeros((1, 2), np.uint8)])


def test_a_factor_that_cannot_be_expressed_names_its_node() -> None:
    a, b = activation("a", (1, 2), 1e6, 0), activation("b", (1, 2), 1e6, 0)
    graph = one_op(Mul(), [a, b], activation("y", (1, 2), 1e-3, 0))
    with pytest.raises(UnsupportedError, match=r"^MUL 'node': A requantization factor of"):
        run(graph, [np.zeros((1, 2), np.int8)] * 2)
