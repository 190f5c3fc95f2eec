"""`--fold` and `--no-fold`: the same bits, from fewer channels, wherever a program is made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundle_cases import invoke, report
from click.testing import CliRunner
from support.graphs import GraphBuilder

from edgekit.cli.bench import bench
from edgekit.cli.build import build
from edgekit.cli.emulate import emulate
from edgekit.cli.plan import plan
from edgekit.convert import tflite_reader
from edgekit.convert.tflite_writer import write
from edgekit.errors import UsageError
from edgekit.graph import ops

BOARD = "mps2_an386"
DENSE_MACS, FOLDED_MACS = 36 * (8 * 27 + 8 * 9 + 8 * 8) + 8 * 3, 36 * (4 * 27 + 4 * 9 + 8 * 4) + 24


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier whose pointwise layer reads every second channel."""
    b = GraphBuilder()
    x = b.conv(b.input("x", (1, 6, 6, 3), b.int8(0.02, -3)), 8, (3, 3))
    x = b.conv(b.depthwise(x, (3, 3)), 8, (1, 1), name="pointwise")
    x = b.add(ops.Mean(), x, b.ints("axes", [1, 2]))
    x = b.fully_connected(x, 3)
    weights = b.tensors["pointwise/weights"].data
    assert weights is not None
    np.asarray(weights)[..., ::2] = 0
    graph = b.build(b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)))
    path = tmp_path_factory.mktemp("models") / "thin.tflite"
    path.write_bytes(write(graph))
    return path


def built(model: Path, folder: Path, *options: str) -> dict:
    arguments = ["--model", str(model), *options, "-o", str(folder), "--json", "--quiet"]
    outcome = CliRunner().invoke(build, arguments, catch_exceptions=False)
    return json.loads(outcome.stdout)


@pytest.mark.slow
def test_a_c_program_is_folded_and_its_model_stays(model: Path, tmp_path: Path) -> None:
    pytest.importorskip("unicorn", reason="needs edgekit[c]")
    options = ("--target", "c", "--board", BOARD)
    folded = built(model, tmp_path / "folded", *options)
    dense = built(model, tmp_path / "dense", *options, "--no-fold")
    assert folded["folded"] == {"macs_before": DENSE_MACS, "macs_after": FOLDED_MACS}
    assert "folded" not in dense
    assert folded["memory"]["weights_bytes"] < dense["memory"]["weights_bytes"]
    for name in ("folded", "dense"):
        assert (tmp_path / name / "model_int8.tflite").read_bytes() == model.read_bytes()
        found = report(emulate, tmp_path / name, "--compiler", "zig")
        assert found["faults"] == [] and found["engine"]["exact"]
        assert found["chip"]["macs"] == DENSE_MACS
    assert found["chip"]["macs_computed"] == DENSE_MACS


def test_the_file_of_another_target_is_folded_on_request(model: Path, tmp_path: Path) -> None:
    whole = built(model, tmp_path / "whole", "--target", "tflm")
    folded = built(model, tmp_path / "folded", "--target", "tflm", "--fold")
    assert "folded" not in whole and folded["folded"]["macs_after"] == FOLDED_MACS
    assert folded["verified"]["checked"] and folded["tflite"]["bytes"] < whole["tflite"]["bytes"]
    graph = tflite_reader.read((tmp_path / "folded" / "model_int8.tflite").read_bytes())
    assert graph.outputs_of(graph.nodes[0])[0].shape == (1, 6, 6, 4)
    for part in ("input", "output"):
        files = [tmp_path / name / "golden" / f"{part}_0.npy" for name in ("whole", "folded")]
        assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_the_bench_counts_both(model: Path) -> None:
    pytest.importorskip("unicorn", reason="needs edgekit[c]")
    options = ("--model", model, "--board", BOARD, "--compiler", "zig", "--samples", "1")
    folded, dense = report(bench, *options), report(bench, *options, "--no-fold")
    assert folded["bit_exact"] and dense["bit_exact"]
    assert folded["macs"] == dense["macs"] == dense["macs_computed"] == DENSE_MACS
    assert folded["macs_computed"] == sum(one["macs"] for one in folded["layers"]) == FOLDED_MACS
    assert folded["instructions"] < dense["instructions"]
    said = invoke(bench, *options, "--quiet").stdout
    assert f"{FOLDED_MACS:,} MACs of the model's" in said


def test_plans_are_of_the_folded_program(model: Path, tmp_path: Path) -> None:
    built(model, tmp_path / "dense", "--target", "c", "--board", BOARD, "--no-fold")
    folded, dense, of_bundle = (
        json.loads(invoke(plan, *arguments, "--json").stdout)
        for arguments in (
            (model, "--target", "c", "--board", BOARD),
            (model, "--target", "c", "--board", BOARD, "--no-fold"),
            (tmp_path / "dense",),
        )
    )
    assert folded["weights_bytes"] < dense["weights_bytes"]
    assert folded["arena_bytes"] < dense["arena_bytes"]
    assert of_bundle["arena_bytes"] == dense["arena_bytes"]


def test_mistakes(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are for --model"):
        invoke(bench, tmp_path, "--fold")
    with pytest.raises(UsageError, match="are for target c"):
        invoke(plan, model, "--fold")
