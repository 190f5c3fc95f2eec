"""Engines in processes of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emulate_cases import flat_softmax, network, samples, two_inputs_floats_outside, without_package

from edgekit.convert.tflite_writer import write
from edgekit.emulate import tflm
from edgekit.emulate.engine import Engine, start
from edgekit.errors import InputError, MissingToolError, UnsupportedError
from edgekit.graph.execute import run


@pytest.mark.parametrize("engine", Engine)
def test_outputs_and_every_activation(engine: Engine) -> None:
    graph, tflite = network()
    sample = samples(graph)[0]
    ours: dict[str, np.ndarray] = {}
    run(graph, [sample], ours.__setitem__)
    with start(engine, tflite, watched=graph) as session:
        outputs, seen = session.run([sample])
    assert session.version.split()[0] in {"tflite-micro", "ai-edge-litert"}
    assert set(seen) == set(ours)
    for name, value in seen.items():
        assert value.dtype == ours[name].dtype and value.shape == ours[name].shape
        assert np.abs(value.astype(int) - ours[name].astype(int)).max() <= 2, name
        if engine is not Engine.LITERT_XNNPACK:
            np.testing.assert_array_equal(value, ours[name], name)
    np.testing.assert_array_equal(outputs[0], seen[graph.outputs[0]])


@pytest.mark.parametrize("engine", Engine)
def test_several_inputs_and_outputs_in_float_and_int8(engine: Engine) -> None:
    graph = two_inputs_floats_outside()
    sample = [np.array([[x, 1.0, -2.0, 0.024]], np.float32) for x in (0.3, 5.0)]
    with start(engine, write(graph)) as session:
        real, integers = session.run(sample)[0]
    np.testing.assert_array_equal(integers, [[51, 18, -42, -2]])
    np.testing.assert_allclose(real, 0.1 * (integers.astype(float) + 2), rtol=1e-6)


def test_samples_follow_each_other_in_one_session() -> None:
    graph, tflite = network()
    with start(Engine.TFLM, tflite) as session:
        for sample in samples(graph, 4):
            (expected,) = run(graph, [sample])
            np.testing.assert_array_equal(session.run([sample])[0][0], expected)


def test_a_wrong_sample_is_refused_and_the_session_goes_on() -> None:
    graph, tflite = network()
    sample = samples(graph)[0]
    with start(Engine.LITERT_REFERENCE, tflite) as session:
        with pytest.raises(InputError, match=r"reads int8 \(1, 16, 16, 3\); float32 .* was given"):
            session.run([sample.astype(np.float32)])
        with pytest.raises(InputError, match="reads int8"):
            session.run([sample, sample])
        np.testing.assert_array_equal(session.run([sample])[0], run(graph, [sample]))


@pytest.mark.parametrize("arena_bytes", [16, 2048])
def test_an_arena_that_is_too_small_ends_the_session_only(arena_bytes: int, capfd: Any) -> None:
    _, tflite = network()
    with pytest.raises(UnsupportedError), start(Engine.TFLM, tflite, arena_bytes=arena_bytes):
        pass
    assert capfd.readouterr() == ("", "")


def test_the_smallest_arena_is_enough() -> None:
    graph, tflite = network()
    arena_bytes = tflm.smallest_arena(tflite)
    with start(Engine.TFLM, tflite, arena_bytes=arena_bytes, watched=graph) as session:
        assert session.run([samples(graph)[0]])[1]


def test_a_kernel_that_ends_the_program_ends_the_session_only() -> None:
    _, tflite, values = flat_softmax()
    with start(Engine.TFLM, tflite) as session:
        with pytest.raises(UnsupportedError, match="ended its process with SIG") as caught:
            session.run([values[0]])
        with pytest.raises(UnsupportedError, match="ended its process"):
            session.run([values[0]])
    assert caught.value.hint


@pytest.mark.parametrize("engine", Engine)
def test_a_file_that_is_no_model(engine: Engine) -> None:
    with pytest.raises(UnsupportedError), start(engine, b"\0" * 64):
        pass


@pytest.mark.parametrize(
    ("engine", "package"),
    [(Engine.TFLM, "tflite_micro"), (Engine.LITERT_XNNPACK, "ai_edge_litert")],
)
def test_a_missing_engine(
    engine: Engine, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_package(package, tmp_path, monkeypatch)
    with pytest.raises(MissingToolError) as caught, start(engine, network()[1]):
        pass
    assert caught.value.hint.startswith("pip install")
