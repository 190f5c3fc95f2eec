"""Arrays as samples of a model's inputs, and what their outputs mean."""

from __future__ import annotations

import io

import numpy as np
import pytest
from emulate_cases import network, samples, two_inputs_floats_outside

from edgekit.emulate.difference import Difference
from edgekit.emulate.prediction import prediction
from edgekit.emulate.samples import (
    each,
    random_samples,
    real_values,
    reference_outputs,
    stacked,
)
from edgekit.emulate.wire import receive, send
from edgekit.errors import InputError, VerificationError
from edgekit.graph.execute import run
from edgekit.graph.ir import DType, Quantization, Tensor

INT8 = Tensor("x", (1, 4), DType.INT8, Quantization.per_tensor(0.5, 10))
FLOAT = Tensor("x", (1, 4), DType.FLOAT32)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 4), (3, 4), (3, 1, 4)])
def test_every_way_to_stack(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape)).reshape(shape).astype(np.int8)
    found = stacked(values, INT8)
    assert found.shape == (len(values) if shape[0] == 3 else 1, 1, 4)
    np.testing.assert_array_equal(found.reshape(-1), np.arange(found.size))


def test_reals_become_what_the_tensor_holds() -> None:
    reals = np.array([[0.0, 0.25, -0.25, 1000.0]])  # ties away from zero, saturated
    assert stacked(reals, INT8).tolist() == [[[10, 11, 9, 127]]]
    assert stacked(np.array([[0, 1, 2, 3]], np.uint8), INT8).tolist() == [[[10, 12, 14, 16]]]
    floats = stacked(np.array([[1, 2, 3, 4]], np.int64), FLOAT)
    assert floats.dtype == np.float32 and floats.tolist() == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((2, 5)), r"has shape \(1, 4\), \(2, 5\) was given"),
        (np.zeros(4), "was given"),
        (np.zeros((0, 1, 4)), "no samples"),
        (np.full((1, 4), np.nan, np.float32), "finite"),
        (np.array([["a", "b", "c", "d"]]), "finite numbers"),
    ],
)
def test_what_holds_no_samples(values: np.ndarray, message: str) -> None:
    for tensor in (INT8, FLOAT):
        with pytest.raises(InputError, match=message):
            stacked(values, tensor)


def test_samples_one_after_the_other() -> None:
    pairs = list(each([np.arange(3), np.arange(3) * 10]))
    assert [[int(v) for v in pair] for pair in pairs] == [[0, 0], [1, 10], [2, 20]]
    with pytest.raises(InputError, match=r"\[2, 3\]"):
        list(each([np.arange(3), np.arange(2)]))


def test_reference_outputs_are_those_of_each_sample() -> None:
    graph, _ = network()
    values = samples(graph, 4)
    (together,) = reference_outputs(graph, [values])
    assert together.shape == (4, 1, 5)
    for sample, output in zip(values, together, strict=True):
        np.testing.assert_array_equal(output, run(graph, [sample])[0])


def test_random_samples_fill_the_input_and_repeat() -> None:
    graph, _ = network()
    (values,) = random_samples(graph, 4, seed=3)
    assert (values.min(), values.max()) == (-128, 127)
    np.testing.assert_array_equal(values, random_samples(graph, 4, seed=3)[0])
    for floats in random_samples(two_inputs_floats_outside(), 200, seed=3):
        # scale 0.05, zero point 3
        assert -0.05 * 131 <= floats.min() < -6 and 6 < floats.max() <= 0.05 * 124


def test_differences_add_up() -> None:
    first = Difference.between(np.array([1, 2, 3], np.int8), np.array([1, 3, -100], np.int8))
    assert first == Difference(3, 2, 1, 103)
    wide = Difference.between(np.array([-128], np.int8), np.array([127], np.int8))
    assert wide.largest == 255
    assert Difference.total([first, wide]) == Difference(4, 3, 1, 255)
    with pytest.raises(VerificationError, match="was expected"):
        Difference.between(np.zeros(3, np.int8), np.zeros(3, np.uint8))


def test_differences_of_floats() -> None:
    ours = np.array([0.0, 1.0, np.nan, np.inf], np.float32)
    assert not Difference.between(ours, ours).differing
    found = Difference.between(ours, np.array([0.5, 1.0, 0.0, np.inf], np.float32))
    assert (found.differing, found.off_by_one, found.largest) == (2, 0, np.inf)
    assert found.to_json()["largest"] is None


def test_messages_survive_the_pipe() -> None:
    stream = io.BytesIO()
    arrays = [np.arange(6, dtype=np.int8).reshape(2, 3), None, np.zeros((0, 2)), np.float32(1.5)]
    send(stream, {"a": 1}, [None if a is None else np.asarray(a) for a in arrays])
    whole = stream.getvalue()
    header, found = receive(io.BytesIO(whole))
    assert header == {"a": 1}
    for sent, got in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(got, sent)
        assert (got is None) == (sent is None) and (got is None or got.dtype == sent.dtype)
    for cut in (0, 5, len(whole) - 1):
        with pytest.raises(EOFError):
            receive(io.BytesIO(whole[:cut]))


def test_the_likeliest_classes() -> None:
    graph, _ = network()
    scores = [np.array([[-128, 100, -100, 100, -60]], np.int8)]  # scale 1/256, zero point -128
    found = prediction(graph, scores, ("a", "b", "c", "d", "e"), 3)
    assert found == {
        "top": [
            {"class": 1, "label": "b", "score": 228 / 256},
            {"class": 3, "label": "d", "score": 228 / 256},
            {"class": 4, "label": "e", "score": 68 / 256},
        ]
    }
    assert prediction(graph, scores, None, 1)["top"][0]["label"] is None
    (features,) = prediction(graph, scores, None, 1, embedding=True)["outputs"]
    assert features["shape"] == [1, 5] and features["least"] == 0
    assert features["values"] == real_values(scores[0], graph.tensors[graph.outputs[0]]).tolist()


def test_outputs_that_name_no_class() -> None:
    graph = two_inputs_floats_outside()
    outputs = [np.array([[0.5, 1, 2, 3]], np.float32), np.array([[3, 8, 18, 28]], np.int8)]
    found = prediction(graph, outputs, None, 3)["outputs"]
    assert [output["name"] for output in found] == ["real", "sum"]
    assert found[0]["values"] == [[0.5, 1, 2, 3]]
    np.testing.assert_allclose(found[1]["values"], [[0.5, 1, 2, 3]])
