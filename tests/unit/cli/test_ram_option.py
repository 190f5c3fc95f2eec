"""`--ram`: fewer bytes of arena for more instructions, the same wherever a program is made."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import click
import pytest
from bundle_cases import invoke, report
from support.graphs import GraphBuilder

from edgekit.cli.bench import bench
from edgekit.cli.build import build
from edgekit.cli.emulate import emulate
from edgekit.cli.plan import plan
from edgekit.convert.tflite_writer import write
from edgekit.errors import DoesNotFitError, UsageError
from edgekit.graph import ops
from edgekit.graph.ops import Activation

BOARD = ("--target", "c", "--board", "mps2_an386")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier with a wide middle."""
    b = GraphBuilder("wide_middle")
    x = b.conv(b.input("x", (1, 24, 24, 3), b.int8(0.05, 1)), 8, (3, 3), stride=(2, 2))
    x = b.conv(x, 32, (1, 1), activation=Activation.RELU6)
    x = b.conv(b.depthwise(x, (3, 3)), 8, (1, 1))
    x = b.fully_connected(b.add(ops.Mean(), x, b.ints("axes", [1, 2])), 3)
    graph = b.build(b.add(ops.Softmax(), x, quantization=b.int8(1 / 256, -128)))
    path = tmp_path_factory.mktemp("models") / "wide_middle.tflite"
    path.write_bytes(write(graph))
    return path


def planned(model: Path, *options: str) -> dict:
    return json.loads(invoke(plan, model, *BOARD, *options, "--json").stdout)


def test_the_curve_falls_in_bytes_and_budgets_choose_from_it(model: Path) -> None:
    whole, least = planned(model), planned(model, "--ram")
    curve = least["curve"]
    assert len(curve) > 1 and not whole["curve"]
    for before, after in itertools.pairwise(curve):
        assert after["arena_bytes"] < before["arena_bytes"]
        assert after["extra_instructions"] > before["extra_instructions"]
    assert curve[0]["arena_bytes"] == whole["arena_bytes"] and not curve[0]["stripes"]
    assert curve[-1]["arena_bytes"] == least["arena_bytes"]
    for point in curve:
        assert (
            planned(model, f"--ram={point['arena_bytes']}")["arena_bytes"] == (point["arena_bytes"])
        )
    said = invoke(plan, model, *BOARD, "--ram").stdout
    assert "layers in stripes (rows)" in said and f"{least['arena_bytes']:,}" in said
    with pytest.raises(DoesNotFitError, match="needs 100 bytes"):
        invoke(plan, model, *BOARD, "--ram=100")


@pytest.mark.slow
def test_a_bundle_in_stripes_has_the_planned_arena_and_the_models_bits(
    model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("unicorn", reason="needs edgekit[c]")
    folder = tmp_path / "bundle"
    built = report(build, "--model", model, *BOARD, "--ram", "-o", folder)
    assert built["memory"]["arena_bytes"] == planned(model, "--ram")["arena_bytes"]
    assert any("in stripes of" in path.read_text() for path in folder.rglob("*.c"))
    found = report(emulate, folder, "--compiler", "zig")
    assert found["faults"] == [] and found["engine"]["exact"]


def test_mistakes(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="generated C program"):
        invoke(plan, model, "--ram")
    with pytest.raises(UsageError, match="--ram is for --model"):
        invoke(bench, tmp_path, "--ram")
    with pytest.raises(click.BadParameter, match="write --ram=0"):
        plan.main(["--target", "c", "--ram", str(model)], standalone_mode=False)
