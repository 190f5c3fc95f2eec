"""`edgekit bench` on models and bundles, and `edgekit emulate` on bundles of the target c."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundle_cases import bundle, invoke, report, save_pictures
from support.bundles import written
from support.deployments import LABELS, deployment
from support.graphs import convnet

from edgekit.backends import registry
from edgekit.backends.base import Deployment
from edgekit.cli.bench import bench
from edgekit.cli.emulate import emulate
from edgekit.convert.tflite_writer import write
from edgekit.emit.bundle import write_bundle
from edgekit.emit.c_program import c_program
from edgekit.errors import InputError, UnsupportedError, UsageError
from edgekit.lower.isa import Isa
from edgekit.lower.lowering import lower
from edgekit.plan.static_memory import arena_plan, plan_memory

pytest.importorskip("unicorn", reason="needs edgekit[c]")
BOARD = "mps2_an386"


def c_deployment() -> Deployment:
    program = lower(convnet(), Isa.of("cortex-m4"))
    made = deployment(BOARD, arena=arena_plan(program, plan_memory(program)))
    contract = made.preprocessing
    provenance = {
        "target": "c",
        "board": BOARD,
        "preprocessing": contract.to_json() if contract else None,
        "memory": {"arena_bytes": made.arena.arena_bytes},
        "seed": 0,
    }
    return deployment(BOARD, arena=made.arena, provenance=provenance)


@pytest.fixture(scope="module")
def c_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("bundles") / "c", c_deployment())


@pytest.mark.slow
def test_a_model_and_its_bundle_take_the_same(c_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(write(convnet()))
    options = ("--compiler", "zig", "--samples", "1")
    of_bundle = report(bench, c_bundle, *options)
    of_model = report(bench, "--model", tmp_path / "m.tflite", "--board", BOARD, *options)
    assert of_bundle["bit_exact"] and of_model["bit_exact"]
    for key in ("layers", "instructions", "macs", "weights_bytes", "arena_bytes", "flags"):
        assert of_bundle[key] == of_model[key]


def test_a_table_for_people(c_bundle: Path) -> None:
    said = invoke(bench, c_bundle, "--compiler", "zig", "--samples", "1", "--quiet").stdout
    assert "equal to the bit" in said and "ek_softmax_s8" in said and "RESHAPE, a view" in said


def test_a_c_bundle_is_emulated(c_bundle: Path) -> None:
    found = report(emulate, c_bundle, "--compiler", "zig")
    assert found["faults"] == [] and found["engine"]["exact"]
    assert found["chip"]["ending"]["uart"].endswith("self test: PASSED\r\n")
    assert found["chip"]["arena_bytes"] == found["board_arena_bytes"]
    assert found["agreement"]["same_outputs"] == found["agreement"]["samples"] == 4


@pytest.mark.slow
def test_pictures_run_on_this_computer_and_some_on_the_chip(c_bundle: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (30, 20, 20, 3), np.uint8)
    save_pictures(tmp_path / "p", pixels, *(f"{LABELS[i % 2]}/{i}.png" for i in range(30)))
    found = report(emulate, c_bundle, "--compiler", "zig", "--images", tmp_path / "p")
    assert found["faults"] == [] and found["agreement"]["same_outputs"] == 30
    assert found["agreement"]["labelled"] == 30
    said = invoke(emulate, c_bundle, "--compiler", "zig", "--images", tmp_path / "p").stdout
    assert "self test: PASSED" in said and "equal to the bit in all 10 layers" in said


def test_mistakes(c_bundle: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(write(convnet()))
    for args, message in (
        ((), "Name a bundle, or a model"),
        ((c_bundle, "--model", model), "Name a bundle, or a model"),
        (("--model", model), "Which board"),
        (("--model", model, "--board", "mps2_an387"), "Unknown board"),
        (("--model", model, "--board", BOARD, "--compiler", "gc"), "Unknown compiler"),
        ((c_bundle, "--board", "rpi_pico"), "is for the board mps2_an386"),
    ):
        with pytest.raises(UsageError, match=message):
            invoke(bench, *args)
    with pytest.raises(UnsupportedError, match="takes no C programs"):
        invoke(bench, "--model", model, "--board", "esp32_s3")
    with pytest.raises(InputError, match="cannot be read"):
        invoke(bench, "--model", tmp_path / "missing.tflite", "--board", BOARD)


def test_bundles_of_other_targets(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm")
    with pytest.raises(UsageError, match="holds no C program"):
        invoke(bench, path)
    with pytest.raises(UsageError, match="are for target c, not tflm"):
        invoke(emulate, path, "--engine", "qemu")


def test_sources_of_another_version_are_refused(tmp_path: Path) -> None:
    """Their arena is laid out otherwise: nothing in it would be found."""
    made, other = c_deployment(), lower(convnet(seed=1))
    files = {**registry.get("c").files(made), **c_program(other, plan_memory(other))}
    path = write_bundle(tmp_path / "b", files, provenance=made.provenance)
    with pytest.raises(InputError, match="is not what this version of edgekit writes"):
        invoke(emulate, path)
