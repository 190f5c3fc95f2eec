"""Output shapes of every op; the writer's tests compare them with LiteRT's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Tensor
from edgekit.graph.ops import Op, Padding
from edgekit.graph.shapes import Shape, infer, window_count

SAME, VALID = Padding.SAME, Padding.VALID


def x(*shape: int) -> Tensor:
    return Tensor("x", shape, DType.FLOAT32)


def ints(values: object) -> Tensor:
    return Tensor.constant("ints", np.array(values, np.int32))


GOOD: list[tuple[Op, list[Tensor], tuple[Shape, ...]]] = [
    (ops.Conv2D(stride=(2, 1)), [x(1, 7, 7, 4), x(6, 3, 3, 4)], ((1, 4, 7, 6),)),
    (ops.Conv2D(padding=VALID), [x(2, 7, 5, 4), x(6, 3, 2, 2), x(6)], ((2, 5, 4, 6),)),
    (ops.Conv2D(dilation=(2, 3), padding=VALID), [x(1, 9, 9, 1), x(1, 3, 3, 1)], ((1, 5, 3, 1),)),
    (ops.Conv2D(dilation=(18, 36)), [x(1, 17, 17, 1), x(1, 3, 3, 1)], ((1, 17, 17, 1),)),
    (ops.DepthwiseConv2D(stride=(2, 2)), [x(1, 7, 8, 3), x(1, 3, 3, 6), x(6)], ((1, 4, 4, 6),)),
    (ops.FullyConnected(), [x(2, 3, 4), x(5, 12)], ((2, 5),)),
    (ops.FullyConnected(), [x(2, 3, 4), x(5, 6), x(5)], ((4, 5),)),
    (ops.FullyConnected(keep_dims=True), [x(2, 3, 4), x(5, 4)], ((2, 3, 5),)),
    (ops.AveragePool2D((3, 3), (2, 2)), [x(1, 7, 8, 3)], ((1, 3, 3, 3),)),
    (ops.MaxPool2D((3, 3), (2, 2), SAME), [x(1, 7, 8, 3)], ((1, 4, 4, 3),)),
    (ops.Mean(), [x(1, 7, 8, 3), ints([1, -2])], ((1, 3),)),
    (ops.Mean(keep_dims=True), [x(1, 7, 8, 3), ints([1, 2])], ((1, 1, 1, 3),)),
    (ops.Add(), [x(1, 7, 8, 3), x(3)], ((1, 7, 8, 3),)),
    (ops.Sub(), [x(7, 1), x(1, 8)], ((7, 8),)),
    (ops.Mul(), [x(), x(1, 8)], ((1, 8),)),
    (ops.Concatenation(axis=-1), [x(1, 2, 3), x(1, 2, 5)], ((1, 2, 8),)),
    (ops.Pad(), [x(1, 4, 3), ints([[0, 0], [1, 2], [0, 3]])], ((1, 7, 6),)),
    (ops.PadV2(), [x(4, 3), ints([[0, 1], [1, 0]]), x(1)], ((5, 4),)),
    (ops.Softmax(), [x(1, 4)], ((1, 4),)),
    (ops.Logistic(), [x(1, 4)], ((1, 4),)),
    (ops.HardSwish(), [x(1, 4)], ((1, 4),)),
    (ops.Relu(), [x(1, 4)], ((1, 4),)),
    (ops.Relu6(), [x(1, 4)], ((1, 4),)),
    (ops.Reshape(), [x(1, 4, 6), ints([2, -1])], ((2, 12),)),
    (ops.Reshape(), [x(1, 1), ints([])], ((),)),
    (ops.Squeeze(), [x(1, 4, 1)], ((4,),)),
    (ops.Squeeze((-1,)), [x(1, 4, 1)], ((1, 4),)),
    (ops.ExpandDims(), [x(4, 5), ints([-1])], ((4, 5, 1),)),
    (ops.ExpandDims(), [x(4, 5), ints(0)], ((1, 4, 5),)),
    (ops.Transpose(), [x(1, 2, 3), ints([2, 0, 1])], ((3, 1, 2),)),
    (ops.Split(3), [ints(1), x(1, 6)], ((1, 2), (1, 2), (1, 2))),
    (ops.Quantize(), [x(1, 6)], ((1, 6),)),
    (ops.Dequantize(), [x(1, 6)], ((1, 6),)),
]

BAD: list[tuple[Op, list[Tensor], str]] = [
    (ops.Conv2D(), [x(1, 7, 7, 4)], "CONV_2D reads 2 to 3 tensors, not 1"),
    (ops.Conv2D(), [x(7, 7, 4), x(6, 3, 3, 4)], "4 dimensions"),
    (ops.Conv2D(), [x(1, 7, 7, 4), x(6, 3, 3, 3)], "do not fit 4 input channels"),
    (ops.Conv2D(), [x(1, 7, 7, 4), x(6, 3, 3, 0)], "do not fit 4 input channels"),
    (ops.Conv2D(), [x(1, 7, 7, 4), x(5, 3, 3, 2)], "do not fit 4 input channels"),
    (ops.Conv2D(), [x(1, 7, 7, 4), x(6, 3, 3, 4), x(5)], "bias 'x' must have 6 elements"),
    (ops.Conv2D(padding=VALID), [x(1, 2, 7, 4), x(6, 3, 3, 4)], r"\[3, 3\] does not fit into 2x7"),
    (ops.Conv2D(stride=(0, 1)), [x(1, 7, 7, 4), x(6, 3, 3, 4)], "stride 0"),
    (ops.Conv2D(dilation=(999, 1)), [x(1, 7, 7, 4), x(6, 3, 3, 4)], "reaches 1,999 pixels over 7"),
    (ops.MaxPool2D((1, 2**31), padding=SAME), [x(1, 7, 7, 4)], "reaches 2,147,483,648 pixels"),
    (ops.Transpose(), [x(2, 3), ints([[1, 0]])], "at most 2 integers"),
    (ops.Conv2D(dilation=(1, -1)), [x(1, 7, 7, 4), x(6, 3, 3, 4)], "dilation -1"),
    (ops.DepthwiseConv2D(), [x(1, 7, 7, 4), x(1, 3, 3, 6)], "do not fit 4 input channels"),
    (ops.DepthwiseConv2D(), [x(1, 7, 7, 4), x(2, 3, 3, 4)], "do not fit 4 input channels"),
    (ops.FullyConnected(), [x(1, 7), x(3, 4)], "do not fit its input"),
    (ops.FullyConnected(keep_dims=True), [x(2, 6), x(3, 4)], "do not fit its input"),
    (ops.FullyConnected(), [x(1, 7), x(3, 7), x(1)], "3 elements"),
    (ops.MaxPool2D((0, 1)), [x(1, 7, 7, 4)], "window 0"),
    (ops.Mean(), [x(1, 7), ints([2])], "axis 2 does not exist in 2 dimensions"),
    (ops.Mean(), [x(1, 7), ints([0, 1, 0])], "at most 2 integers"),
    (ops.Add(), [x(1, 7), x(2, 6)], "do not broadcast"),
    (ops.Concatenation(axis=1), [x(1, 7, 2), x(1, 7, 3)], "do not join along axis 1"),
    (ops.Pad(), [x(1, 7), ints([[0, 0], [-1, 0]])], "2 pairs of numbers >= 0"),
    (ops.Pad(), [x(1, 7), ints([0, 0, 0, 0])], "2 pairs"),
    (ops.PadV2(), [x(7), ints([[0, 0]]), x(2)], "one element"),
    (ops.Softmax(), [x()], "at least 1 dimension"),
    (ops.Reshape(), [x(1, 7), ints([2, -1])], r"does not reshape to \[2, 3\]"),
    (ops.Reshape(), [x(1, 7), ints([-1, -1])], "does not reshape"),
    (ops.Reshape(), [x(4), ints([-2, -2])], "does not reshape"),
    (ops.Squeeze((0,)), [x(2, 1)], "not all 1"),
    (ops.ExpandDims(), [x(2), ints([2])], "axis 2 does not exist in 2 dimensions"),
    (ops.ExpandDims(), [x(2), ints([])], "is empty"),
    (ops.Transpose(), [x(2, 3), ints([0, 0])], "not a permutation"),
    (ops.Transpose(), [x(2, 3), ints([0])], "not a permutation"),
    (ops.Split(4), [ints([1]), x(1, 6)], "does not split in 4"),
    (ops.Split(0), [ints([1]), x(1, 6)], "does not split in 0"),
]


def case_name(value: object) -> str | None:
    return value.tflite_name if isinstance(value, Op) else None


@pytest.mark.parametrize(("op", "inputs", "expected"), GOOD, ids=case_name)
def test_shapes(op: Op, inputs: list[Tensor], expected: tuple[Shape, ...]) -> None:
    assert infer(op, inputs) == expected


@pytest.mark.parametrize(("op", "inputs", "message"), BAD, ids=case_name)
def test_inputs_that_do_not_fit(op: Op, inputs: list[Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        infer(op, inputs)


def test_every_op_has_a_rule() -> None:
    assert {type(op) for op, _, _ in GOOD} == set(ops.TFLITE_NAMES)


@pytest.mark.parametrize(
    ("op", "inputs"),
    [
        (ops.Opaque("TILE", 69), [x(1)]),
        (ops.Reshape(), [x(1)]),
        (ops.Transpose(), [x(1, 2), Tensor("order", (2,), DType.INT32)]),
    ],
    ids=case_name,
)
def test_shapes_that_do_not_follow_from_the_inputs(op: Op, inputs: list[Tensor]) -> None:
    with pytest.raises(UnsupportedError):
        infer(op, inputs)


@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
def test_window_count_against_counting(size: int, window: int, stride: int, dilation: int) -> None:
    extent = (window - 1) * dilation + 1
    inside = [start for start in range(0, size, stride) if start + extent <= size]
    assert window_count(size, window, stride, dilation, VALID) == len(inside)
    assert window_count(size, window, stride, dilation, SAME) == len(range(0, size, stride))
