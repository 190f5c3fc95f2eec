"""A bundle's model run as its target would, and what is a fault then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from emulate_cases import FAULTY_LAYER, network, samples, with_one_weight_changed

from edgekit.emulate import emulation, host_arena, tflm
from edgekit.emulate.agreement import Agreement, agreement
from edgekit.emulate.emulation import Emulation, Model, emulate
from edgekit.emulate.engine import Engine
from edgekit.emulate.host_arena import HostArena, try_host_arena
from edgekit.emulate.samples import reference_outputs
from edgekit.graph.ir import Graph
from edgekit.plan.arena import plan_arena
from edgekit.plan.tflm_memory import HOST


def run(model: Model, engine: Engine) -> Emulation:
    inputs = list(model.golden_inputs)
    unknown = np.full(len(inputs[0]), -1)
    return emulate(model, engine, inputs, [(inputs, unknown)], len(unknown))


def model(graph: Graph, tflite: bytes, of: Graph | None = None) -> Model:
    """Golden vectors are those of `of`."""
    inputs = [samples(graph, 4)]
    return Model(graph, tflite, inputs, reference_outputs(of or graph, inputs))


def test_nothing_is_wrong() -> None:
    graph, tflite = network()
    done = run(model(graph, tflite), Engine.TFLM)
    assert done.faults == ()
    assert done.agreement == Agreement(samples=4, same_outputs=4, same_top1=4)
    assert done.arena is not None and done.arena.is_enough
    assert done.to_json()["engine"]["exact"]


def test_a_graph_other_than_the_file_is_located() -> None:
    graph, tflite = network()
    broken = with_one_weight_changed(graph)
    (fault,) = run(model(broken, tflite), Engine.TFLM).faults
    assert f"first in layer {FAULTY_LAYER}, CONV_2D 'block/pointwise'" in fault


def test_golden_vectors_of_another_model_are_a_fault_for_every_target() -> None:
    graph, tflite = network()
    other = with_one_weight_changed(graph)
    for engine in (Engine.TFLM, Engine.LITERT_XNNPACK):
        (fault,) = run(model(graph, tflite, of=other), engine).faults
        assert "golden outputs" in fault


def test_what_litert_makes_of_it_is_no_fault() -> None:
    graph, tflite = network()
    done = run(model(with_one_weight_changed(graph), tflite), Engine.LITERT_XNNPACK)
    assert not done.outcome.is_exact and done.arena is None
    assert done.faults == ()


def test_outputs_that_differ_on_later_samples_are_a_fault() -> None:
    graph, tflite = network()
    done = run(model(graph, tflite), Engine.TFLM)
    differs = replace(done, agreement=replace(done.agreement, same_outputs=3))
    assert "for 1 of 4 samples" in differs.faults[0]


def test_the_host_runs_in_exactly_what_is_predicted() -> None:
    graph, tflite = network()
    arena = try_host_arena(graph, tflite, [samples(graph)[0]])
    assert arena.is_enough and arena.needed_bytes is None


def test_an_arena_predicted_too_small_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, tflite = network()
    least = tflm.smallest_arena(tflite)
    small = replace(plan_arena(graph, HOST), arena_bytes=least - 16)
    monkeypatch.setattr(host_arena, "plan_arena", lambda *_: small)
    found = try_host_arena(graph, tflite, [samples(graph)[0]])
    assert found == HostArena(least - 16, least) and not found.is_enough


def test_an_arena_predicted_too_small_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, tflite = network()
    enough = try_host_arena(graph, tflite, [samples(graph)[0]]).predicted_bytes
    monkeypatch.setattr(emulation, "try_host_arena", lambda *_: HostArena(enough - 64, enough))
    done = run(model(graph, tflite), Engine.TFLM)
    assert f"{enough:,} bytes on this host; {enough - 64:,}" in done.faults[0]
    assert done.outcome.is_exact  # run in more than enough instead


def test_accuracy_counts() -> None:
    graph, tflite = network()
    inputs = [samples(graph, 6)]
    classes = reference_outputs(graph, inputs)[0].reshape(6, -1).argmax(axis=1)
    targets = classes.copy()
    targets[0] = (targets[0] + 1) % 5
    targets[1] = -1
    batches = [([inputs[0][part]], targets[part]) for part in (slice(0, 4), slice(4, 6))]
    seen: list[tuple[str, int, int]] = []
    found = agreement(
        graph, tflite, Engine.TFLM, batches, 6, progress=lambda *args: seen.append(args)
    )
    assert found == Agreement(6, 6, 6, labelled=5, engine_hits=4, reference_hits=4)
    assert [done for _, done, _ in seen] == [4, 6]
