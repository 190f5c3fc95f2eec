"""What a file computes from shapes alone, or turns into float weights, is known when it is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_file import File

from edgekit.convert.tflite_model import mirrors
from edgekit.convert.tflite_reader import read
from edgekit.errors import UnsupportedError
from edgekit.graph.execute import run
from edgekit.graph.ir import Graph

SHAPE, SLICE, PACK, GATHER, PRODUCT, JOIN, RESHAPE = 77, 45, 83, 36, 81, 2, 22
DEQUANTIZE, ADD = 6, 0


def reshaped(file: File, x: int, shape: int) -> Graph:
    """The graph after reshaping x (1, 4, 6) to a computed shape that gives (1, 24)."""
    y = file.op(RESHAPE, [x, shape], [1, 24], kind=0, signature=[-1, 24])
    return read(file.data([x], [y]))


def picture(file: File) -> int:
    return file.tensor([1, 4, 6], kind=0, signature=[-1, 4, 6])


def slice_options(**masks: int) -> Any:
    return schema.StridedSliceOptionsT(**masks)


def assert_is_reshape(graph: Graph) -> None:
    (node,) = graph.nodes
    assert node.op.tflite_name == "RESHAPE"
    x = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    np.testing.assert_array_equal(run(graph, [x])[0], x.reshape(1, 24))


def test_flatten_of_a_free_batch() -> None:
    file = File()
    x = picture(file)
    shape = file.op(SHAPE, [x], [3])
    batch = file.op(
        SLICE,
        [shape, file.ints(0), file.ints(1), file.ints(1)],
        [],
        options=slice_options(shrinkAxisMask=1),
    )
    assert_is_reshape(reshaped(file, x, file.op(PACK, [batch, file.scalar(24)], [2])))


@pytest.mark.parametrize(
    ("bounds", "masks", "count"),
    [
        ((1, 3, 1), {}, 2),
        ((7, 3, 1), {"beginMask": 1}, 3),
        ((1, 0, 1), {"endMask": 1}, 2),
        ((-2, 3, 1), {}, 2),
        ((0, 3, 2), {}, 2),
    ],
)
def test_slices(bounds: tuple[int, int, int], masks: dict[str, int], count: int) -> None:
    """The product of (a part of) the shape (1, 4, 6), against NumPy's slice."""
    file = File()
    x = picture(file)
    begin, end, step = bounds
    part = slice(None if "beginMask" in masks else begin, None if "endMask" in masks else end, step)
    wanted = int(np.prod((1, 4, 6)[part]))
    sizes = file.op(
        SLICE,
        [file.op(SHAPE, [x], [3]), *(file.ints(bound) for bound in bounds)],
        [count],
        options=slice_options(**masks),
    )
    product = file.op(PRODUCT, [sizes, file.ints(0)], [])
    shape = file.op(PACK, [product, file.scalar(24 // wanted)], [2])
    y = file.op(RESHAPE, [x, shape], [1, 1], kind=0, signature=[-1, -1])
    graph = read(file.data([x], [y]))
    assert graph.tensors[graph.outputs[0]].shape == (wanted, 24 // wanted)


def test_dense_layers_on_sequences_gather_multiply_and_join() -> None:
    file = File()
    x = picture(file)
    shape = file.op(SHAPE, [x], [3])
    rows = file.op(GATHER, [shape, file.ints(0)], [1], options=schema.GatherOptionsT())
    columns = file.op(GATHER, [shape, file.ints(1, 2)], [2], options=schema.GatherOptionsT())
    options = schema.ReducerOptionsT(keepDims=True)
    width = file.op(PRODUCT, [columns, file.ints(-1)], [1], options=options)
    options = schema.ConcatenationOptionsT()
    assert_is_reshape(reshaped(file, x, file.op(JOIN, [rows, width], [2], options=options)))


def test_what_is_not_arithmetic_on_shapes_is_refused_by_name() -> None:
    file = File()
    x = picture(file)
    y = file.op(GATHER, [x, file.ints(0)], [1, 4, 6], kind=0)
    with pytest.raises(UnsupportedError, match="Operator 0, GATHER, which writes 't2'"):
        read(file.data([x], [y]))


def test_indices_out_of_range_are_not_folded() -> None:
    file = File()
    x = picture(file)
    picked = file.op(GATHER, [file.op(SHAPE, [x], [3]), file.ints(0, 3)], [2])
    with pytest.raises(UnsupportedError, match="Operator 1, GATHER"):
        reshaped(file, x, picked)


def test_float16_weights_are_float32() -> None:
    file, values = File(), np.array([0.1, -2, 65504], np.float16)
    x = file.tensor([1, 3], kind=0)
    half = file.tensor([3], values, kind=1)
    weights = file.op(DEQUANTIZE, [half], [3], kind=0)
    data = file.data([x], [file.op(ADD, [x, weights], [1, 3], kind=0)])
    graph = read(data)
    (sums,) = run(graph, [np.zeros((1, 3), np.float32)])
    np.testing.assert_array_equal(sums[0], values.astype(np.float32))
    assert len(graph.nodes) == 1 and not mirrors(data, graph)


def test_int8_weights_of_a_float_network_are_float32() -> None:
    file, values = File(), np.array([[1, -2, 127], [3, 0, -128]], np.int8)
    scales = np.array([0.5, 0.25, 0.125], np.float32)
    x = file.tensor([2, 3], kind=0)
    quantization = schema.QuantizationParametersT(
        scale=scales, zeroPoint=np.zeros(3, np.int64), quantizedDimension=1
    )
    small = file.tensor([2, 3], values, kind=9, quantization=quantization)
    weights = file.op(DEQUANTIZE, [small], [2, 3], kind=0)
    graph = read(file.data([x], [file.op(ADD, [x, weights], [2, 3], kind=0)]))
    (sums,) = run(graph, [np.zeros((2, 3), np.float32)])
    np.testing.assert_array_equal(sums, values * scales)


def test_reshapes_of_tensorflow_1_have_a_matrix_for_a_shape() -> None:
    file = File()
    x = picture(file)
    matrix = file.tensor([1, 2], np.array([[1, 24]], np.int32))
    assert_is_reshape(reshaped(file, x, matrix))


def test_pads_of_minus_infinity_become_the_lowest_float() -> None:
    file = File()
    x = file.tensor([1, 2], kind=0)
    pads = file.tensor([2, 2], np.array([[0, 0], [1, 0]], np.int32))
    lowest = file.tensor([], np.array(-np.inf, np.float32), kind=0)
    graph = read(file.data([x], [file.op(60, [x, pads, lowest], [1, 3], kind=0)]))
    (padded,) = run(graph, [np.ones((1, 2), np.float32)])
    assert padded.tolist() == [[float(np.finfo(np.float32).min), 1, 1]]
