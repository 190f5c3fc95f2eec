"""Running graphs: batches, several inputs and outputs, watching, refusals, real models."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support.op_cases import activation, assert_equals_tflm, ints, one_op, real, rng_of

from edgekit.convert.tflite_reader import read
from edgekit.emulate import litert, tflm
from edgekit.errors import InputError, UnsupportedError, VerificationError
from edgekit.graph import batching
from edgekit.graph.batching import SAMPLES_TOGETHER, carries_batch, samples_together
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Graph, Node, Tensor
from edgekit.graph.ops import (
    Add,
    Concatenation,
    Mean,
    Mul,
    Opaque,
    Pad,
    Relu,
    Reshape,
    Softmax,
    Split,
    Squeeze,
    Transpose,
)

SHARED = Path(os.environ.get("EDGEKIT_SHARED", Path(__file__).parents[4] / "shared"))


def shared(path: str) -> bytes:
    file = SHARED / path
    if not file.is_file():
        pytest.skip(f"{path} is missing under EDGEKIT_SHARED")
    return file.read_bytes()


def branching() -> Graph:
    """(1,4), (1,4) -> a + b and relu(a + b), in int8."""
    tensors = [activation(name, (1, 4), 0.1, 3) for name in ("a", "b", "sum", "relu")]
    nodes = (
        Node("add", Add(), ("a", "b"), ("sum",)),
        Node("relu", Relu(), ("sum",), ("relu",)),
    )
    names = {tensor.name: tensor for tensor in tensors}
    return Graph("branching", names, nodes, ("a", "b"), ("sum", "relu"))


def test_several_inputs_and_outputs() -> None:
    rng = rng_of("branching")
    assert_equals_tflm(branching(), rng)
    a, b = (rng.integers(-128, 128, (40, 4)).astype(np.int8) for _ in range(2))
    together = run(branching(), [a, b])
    alone = [run(branching(), [a[i : i + 1], b[i : i + 1]]) for i in range(40)]
    for index in range(2):
        np.testing.assert_array_equal(
            together[index], np.concatenate([outputs[index] for outputs in alone])
        )


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_and_slices_change_nothing(threads: int) -> None:
    rng = rng_of("threads")
    count = 3 * SAMPLES_TOGETHER + 5
    a, b = (rng.integers(-128, 128, (count, 4)).astype(np.int8) for _ in range(2))
    expected = np.concatenate(
        [run(branching(), [a[i : i + 1], b[i : i + 1]])[1] for i in range(count)]
    )
    np.testing.assert_array_equal(run(branching(), [a, b], threads=threads)[1], expected)


def test_large_activations_are_computed_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    assert samples_together(branching()) == SAMPLES_TOGETHER
    # The addition reads and writes 12 elements, in float32 48 bytes.
    monkeypatch.setattr(batching, "_BYTES_TOGETHER", 3 * 48)
    assert (samples_together(branching()), samples_together(branching(), threads=2)) == (3, 1)
    shown: list[int] = []
    a = rng_of("few").integers(-128, 128, (8, 4)).astype(np.int8)
    bounded = run(branching(), [a, a], lambda name, value: shown.append(len(value)))
    assert set(shown) == {2, 3}
    monkeypatch.undo()
    np.testing.assert_array_equal(bounded, run(branching(), [a, a]))


def test_watch_sees_every_activation_once() -> None:
    seen: dict[str, np.ndarray] = {}

    def watch(name: str, value: np.ndarray) -> None:
        assert name not in seen
        seen[name] = value

    a = np.full((50, 4), 5, np.int8)
    (total, relu) = run(branching(), [a, a], watch)
    assert list(seen) == ["a", "b", "sum", "relu"]
    np.testing.assert_array_equal(seen["sum"], total)
    np.testing.assert_array_equal(seen["relu"], relu)


def test_graph_output_that_is_read_again_survives() -> None:
    total, relu = run(branching(), [np.full((1, 4), 9, np.int8)] * 2)
    assert total.shape == relu.shape == (1, 4)


NOT_A_BATCH = [
    one_op(Reshape(), [real("x", (1, 6)), ints("s", [2, 3])], real("y", (2, 3))),
    one_op(Squeeze(), [real("x", (1, 6))], real("y", (6,))),
    one_op(Mean(True), [real("x", (1, 6)), ints("axes", [0])], real("y", (1, 6))),
    one_op(Mean(), [real("x", (1, 6)), ints("axes", [-2])], real("y", (6,))),
    one_op(Transpose(), [real("x", (1, 6)), ints("p", [1, 0])], real("y", (6, 1))),
    one_op(Pad(), [real("x", (1, 6)), ints("w", [[1, 0], [0, 0]])], real("y", (2, 6))),
    one_op(Concatenation(0), [real("x", (1, 6)), real("z", (1, 6))], real("y", (2, 6))),
    one_op(Mul(), [real("x", (1, 6)), real("z", (1, 4, 6))], real("y", (1, 4, 6))),
    one_op(
        Add(),
        [real("x", (1, 6)), Tensor.constant("c", np.ones((2, 6), np.float32))],
        real("y", (2, 6)),
    ),
    one_op(
        Concatenation(1),
        [real("x", (1, 6)), Tensor.constant("c", np.ones((1, 2), np.float32))],
        real("y", (1, 8)),
    ),
    one_op(Split(1), [ints("axis", 0), real("x", (1, 6))], real("y", (1, 6))),
    one_op(Softmax(), [real("x", (1,))], real("y", (1,))),
]


@pytest.mark.parametrize("graph", NOT_A_BATCH, ids=lambda g: g.nodes[0].op.tflite_name)
def test_leading_dimensions_that_are_no_batch_run_one_by_one(graph: Graph) -> None:
    assert not carries_batch(graph)
    rng = rng_of("no batch")
    inputs = [
        rng.standard_normal((3, *graph.tensors[name].shape[1:])).astype(np.float32)
        for name in graph.inputs
    ]
    (together,) = run(graph, inputs)
    alone = [run(graph, [value[i : i + 1] for value in inputs])[0] for i in range(3)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_values_that_do_not_depend_on_the_inputs() -> None:
    """A constant that is computed (here: negated by relu) has no batch."""
    constant = Tensor.constant("c", np.array([[1.0, -2.0]], np.float32))
    tensors = {
        t.name: t for t in (real("x", (1, 2)), constant, real("r", (1, 2)), real("y", (1, 2)))
    }
    nodes = (Node("relu", Relu(), ("c",), ("r",)), Node("add", Add(), ("x", "r"), ("y",)))
    graph = Graph("computed constant", tensors, nodes, ("x",), ("y",))
    (y,) = run(graph, [np.zeros((3, 2), np.float32)])
    assert y.tolist() == [[1.0, 0.0]] * 3


class TestRefusals:
    def test_number_of_inputs(self) -> None:
        with pytest.raises(InputError, match="has 2 inputs, 1 were given"):
            run(branching(), [np.zeros((1, 4), np.int8)])

    def test_type(self) -> None:
        with pytest.raises(InputError, match="Input 'b' is int8, float32 was given"):
            run(branching(), [np.zeros((1, 4), np.int8), np.zeros((1, 4), np.float32)])

    @pytest.mark.parametrize("shape", [(1, 5), (4,), (0, 4), (1, 1, 4)])
    def test_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="Input 'a' has shape"):
            run(branching(), [np.zeros(shape, np.int8), np.zeros((1, 4), np.int8)])

    def test_batches_of_different_sizes(self) -> None:
        with pytest.raises(InputError, match="different sizes"):
            run(branching(), [np.zeros((2, 4), np.int8), np.zeros((3, 4), np.int8)])

    def test_opaque_ops(self) -> None:
        graph = one_op(Opaque("RESIZE_BILINEAR", 23), [real("x", (1, 2))], real("y", (1, 2)))
        with pytest.raises(UnsupportedError, match="RESIZE_BILINEAR 'node' cannot be computed"):
            run(graph, [np.zeros((1, 2), np.float32)])

    def test_graphs_that_declare_another_shape(self) -> None:
        graph = one_op(Relu(), [real("x", (1, 2))], real("y", (1, 3)))
        with pytest.raises(VerificationError, match="which is declared float32"):
            run(graph, [np.zeros((1, 2), np.float32)])


def test_visual_wake_words_model_is_bit_exact() -> None:
    tflite = shared("models/vww_96_int8.tflite")
    x = rng_of("vww").integers(-128, 128, (20, 96, 96, 3)).astype(np.int8)
    np.testing.assert_array_equal(run(read(tflite), [x])[0], tflm.run(tflite, [x])[0])


@pytest.mark.parametrize("size", ["0.25_128", "0.5_160"])
def test_legacy_uint8_mobilenets_are_bit_exact(size: str) -> None:
    tflite = shared(f"coral/mobilenet_v1_{size}_quant.tflite")
    graph = read(tflite)
    (shape, dtype) = graph.tensors[graph.inputs[0]].shape, graph.tensors[graph.inputs[0]].dtype
    assert dtype is DType.UINT8
    x = rng_of("mobilenet").integers(0, 256, (4, *shape[1:])).astype(np.uint8)
    expected = litert.run(tflite, [x], litert.Kernels.REFERENCE)
    np.testing.assert_array_equal(run(graph, [x])[0], expected[0])
