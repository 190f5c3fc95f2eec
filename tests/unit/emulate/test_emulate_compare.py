"""Engines against edgekit's arithmetic, layer by layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emulate_cases import (
    FAULTY_LAYER,
    flat_softmax,
    network,
    samples,
    two_inputs_floats_outside,
    with_one_weight_changed,
    without_package,
)
from support.graphs import GraphBuilder, single_op_graphs
from support.shared import shared_file

from edgekit.convert.tflite_reader import read
from edgekit.convert.tflite_writer import write
from edgekit.emulate.compare import compare, is_integer, layers_of, ranks
from edgekit.emulate.engine import Engine
from edgekit.emulate.file_tensors import activation_numbers
from edgekit.emulate.isolated import layers_apart
from edgekit.emulate.samples import random_samples
from edgekit.errors import MissingToolError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.execute import run
from edgekit.graph.verify import verify

EXACT = (Engine.TFLM, Engine.LITERT_REFERENCE)


def test_engines_that_agree() -> None:
    graph, tflite = network()
    for outcome in compare(graph, tflite, [samples(graph)], EXACT):
        assert outcome.is_exact and outcome.first_difference is None and outcome.error is None
        assert [layer and layer.elements for layer in outcome.layers] == [
            3 * layer["elements"] for layer in layers_of(graph)
        ]
        assert outcome.top1_flips == 0 and outcome.outputs[0].elements == 15


@pytest.mark.parametrize("isolated", [False, True])
def test_a_changed_weight_is_found_at_its_layer(isolated: bool) -> None:
    graph, tflite = network()
    broken = with_one_weight_changed(graph)
    engines = EXACT[:1] if isolated else EXACT  # LiteRT's FullyConnected rounds once
    for outcome in compare(broken, tflite, [samples(graph)], engines, isolated=isolated):
        # Taken apart, the model is written from the broken graph: then every layer is right.
        assert outcome.first_difference == (None if isolated else FAULTY_LAYER)
        assert outcome.is_exact == isolated
        if not isolated:
            layer = outcome.layers[FAULTY_LAYER]
            # One output channel of eight reads the weight.
            assert layer is not None and 0 < layer.differing <= layer.elements / 8
            assert layer.largest >= 1 and layer.off_by_one <= layer.differing


def test_layers_apart_hold_the_same_layers() -> None:
    graph, _ = network()
    apart = layers_apart(graph)
    verify(apart)
    values: dict[str, np.ndarray] = {}
    run(graph, [samples(graph)[0]], values.__setitem__)
    outputs = run(apart, [values[name] for name in apart.inputs])
    written = [name for node in graph.nodes for name in node.outputs]
    assert len(written) == len(outputs) == len(graph.nodes)
    for name, value in zip(written, outputs, strict=True):
        np.testing.assert_array_equal(value, values[name], name)


def test_isolated_layers_err_by_themselves() -> None:
    """XNNPACK's convolutions are off by one at most; only added up they are by more."""
    tflite = shared_file("models/vww_96_int8.tflite")
    graph = read(tflite)
    rng = np.random.default_rng(0)
    coarse = rng.integers(-128, 128, (2, 1, 6, 6, 3)).astype(np.int8)
    images = coarse.repeat(16, axis=2).repeat(16, axis=3)
    largest = {}
    for isolated in (False, True):
        micro, litert = compare(
            graph, tflite, [images], (Engine.TFLM, Engine.LITERT_XNNPACK), isolated=isolated
        )
        assert micro.is_exact
        largest[isolated] = max(layer.largest for layer in litert.layers if layer)
    assert largest[True] == 1 < largest[False]


@pytest.mark.parametrize("isolated", [False, True])
def test_several_inputs_and_outputs_in_float_and_int8(isolated: bool) -> None:
    graph = two_inputs_floats_outside()
    inputs = random_samples(graph, 4, seed=1)
    assert [value.dtype for value in inputs] == [np.float32] * 2
    for outcome in compare(graph, write(graph), inputs, EXACT, isolated=isolated):
        assert outcome.is_exact
        assert len(outcome.outputs) == (0 if isolated else 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(single_op_graphs(True)))
def test_every_op(name: str) -> None:
    """Each op's file goes through, whatever its rank, and TFLite Micro agrees."""
    graph = single_op_graphs(True)[name]
    (outcome,) = compare(graph, write(graph), random_samples(graph, 2, seed=0), [Engine.TFLM])
    assert outcome.is_exact, (outcome.error, outcome.layers)


def test_float_networks_are_compared_in_real_units() -> None:
    b = GraphBuilder("floats")
    graph = b.build(b.conv(b.input("x", (1, 6, 6, 2)), 3, (3, 3)))
    assert not is_integer(graph)
    (outcome,) = compare(graph, write(graph), random_samples(graph, 1, 0), [Engine.LITERT_XNNPACK])
    assert outcome.outputs[0].off_by_one == 0 and outcome.outputs[0].largest < 1e-5


def test_a_missing_engine_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_package("tflite_micro", tmp_path, monkeypatch)
    graph, tflite = network()
    micro, litert = compare(graph, tflite, [samples(graph)], EXACT)
    assert isinstance(micro.error, MissingToolError) and not micro.is_exact
    assert micro.to_json()["cure"].startswith("pip install")
    assert litert.is_exact


def test_an_engine_that_dies_does_not_stop_the_others() -> None:
    graph, tflite, values = flat_softmax()
    micro, litert = compare(graph, tflite, [values], (Engine.TFLM, Engine.LITERT_XNNPACK))
    assert isinstance(micro.error, UnsupportedError)
    assert litert.error is None and litert.top1_flips == 0


def test_what_ranks_classes() -> None:
    b = GraphBuilder("spatial")
    x = b.input("x", (1, 4, 4, 2), b.int8(0.1))
    assert not ranks(b.build(b.add(ops.Relu(), x)))
    assert ranks(network()[0])


def test_tensor_numbers_are_the_file_s() -> None:
    graph, tflite = network()
    renamed = replace(graph, nodes=tuple(replace(node, name="n") for node in graph.nodes))
    numbers = activation_numbers(tflite, renamed)
    assert len(set(numbers.values())) == len(numbers) == 1 + len(graph.nodes)
    with pytest.raises(ValueError, match="zip"):
        activation_numbers(tflite, replace(graph, nodes=graph.nodes[:-1]))
