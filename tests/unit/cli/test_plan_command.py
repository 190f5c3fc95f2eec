"""`edgekit plan` on files and bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_cases import bundle, invoke
from click.testing import CliRunner
from support.graphs import GraphBuilder, convnet

from edgekit.cli.plan import plan
from edgekit.convert.tflite_writer import write
from edgekit.errors import DoesNotFitError, InputError, OutputError, UnsupportedError, UsageError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph
from edgekit.lower.isa import Isa
from edgekit.plan import boards
from edgekit.plan.arena import build_for, plan_arena
from edgekit.plan.offline import plan_for
from edgekit.plan.striping import plan_program
from edgekit.plan.tflm_memory import HOST


def saved(tmp_path: Path, graph: Graph, offsets: dict[str, int] | None = None) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(write(graph, offsets))
    return path


def wide() -> Graph:
    """Like MobileNet's beginning, where TFLM's own planner leaves a gap."""
    b = GraphBuilder("wide")
    x = b.conv(b.input("x", (1, 48, 48, 3), b.int8(0.1)), 8, (3, 3), stride=(2, 2), name="stem")
    x = b.conv(b.depthwise(x, (3, 3), name="deep"), 16, (1, 1), name="wide")
    x = b.conv(b.depthwise(x, (3, 3), stride=(2, 2), name="narrow"), 32, (1, 1), name="wide_2")
    return b.build(x)


def told(path: Path, *args: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke(plan, path, *args, "--json").stdout)
    return found


def test_a_file_is_planned_for_every_kernel_library(tmp_path: Path) -> None:
    graph = wide()
    found = told(saved(tmp_path, graph))
    rows = {row["build"]: row for row in found["arena"]}
    assert list(rows) == ["host", "reference", "cmsis-nn", "cmsis-nn-dsp", "cmsis-nn-mve"]
    assert rows["host"]["arena_bytes"] == plan_arena(graph, HOST).arena_bytes
    board = boards.load("nucleo_f446re")
    offsets, arena = plan_for(graph, board)
    assert offsets
    assert rows["cmsis-nn-dsp"]["planned_bytes"] == arena.arena_bytes
    assert rows["cmsis-nn-dsp"]["arena_bytes"] == plan_arena(graph, build_for(board)).arena_bytes
    assert found["peak"]["bytes"] == arena.peak_bytes
    assert found["peak"]["op"] == "CONV_2D"
    assert sum(holder["bytes"] for holder in found["peak"]["holders"]) == arena.peak_bytes
    assert found["board"] is None
    assert "nucleo_f446re" in found["fits_on"]


def test_a_file_that_brings_its_plan_needs_as_much_as_planned(tmp_path: Path) -> None:
    graph = wide()
    offsets, arena = plan_for(graph, boards.load("nucleo_f446re"))
    found = told(saved(tmp_path, graph, offsets))
    (row,) = (row for row in found["arena"] if row["build"] == "cmsis-nn-dsp")
    assert found["is_planned"]
    assert row["arena_bytes"] == row["planned_bytes"] == arena.arena_bytes


def test_a_bundle_is_judged_for_its_board(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm")
    assert told(path)["board"]["id"] == "rpi_pico"
    assert told(path, "--board", "microbit_v2")["board"]["id"] == "microbit_v2"
    path, _ = bundle(tmp_path / "c", "coral")
    assert told(path)["board"] is None


def test_a_person_reads_the_peak_the_arenas_and_the_verdict(tmp_path: Path) -> None:
    text = invoke(plan, saved(tmp_path, wide()), "--board", "nucleo_f446re").output
    assert "Peak: 13,824 bytes at operator 3, CONV_2D 'wide'" in text
    assert "      9,216  wide\n" in text
    assert "Cortex-M4, M7, M33, CMSIS-NN" in text
    assert "ST Nucleo-F446RE: fits" in text


def test_what_does_not_fit_says_how_far_it_is(tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.conv(b.input("x", (1, 400, 400, 3), b.int8(0.1)), 4, (3, 3), stride=(2, 2))
    path = saved(tmp_path, b.build(x))
    runner = CliRunner().invoke(plan, [str(path), "--board", "nucleo_f446re"])
    assert isinstance(runner.exception, DoesNotFitError)
    assert "missing" in runner.output
    assert "pictures of about 0.4" in runner.output
    assert "nucleo_f446re" not in runner.output.splitlines()[-1]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    path, target = saved(tmp_path, wide()), tmp_path / "memory.svg"
    invoke(plan, path, "--svg", target)
    assert target.read_text().startswith("<svg")
    first = target.read_bytes()
    invoke(plan, path, "--svg", target, "--board", "nucleo_f446re")
    assert first != target.read_bytes()
    assert "ST Nucleo-F446RE" in target.read_text()


def test_what_tflm_has_no_kernels_for_fits_nowhere(tmp_path: Path) -> None:
    b = GraphBuilder()
    x = b.input("x", (1, 4, 4, 2), b.int8(0.1), dtype=DType.UINT8)
    path = saved(tmp_path, b.build(b.add(ops.MaxPool2D((2, 2)), x)))
    assert "no kernels for uint8" in invoke(plan, path).output
    assert told(path)["fits_on"] == []
    with pytest.raises(UnsupportedError, match="uint8"):
        invoke(plan, path, "--board", "rpi_pico")


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = saved(tmp_path, convnet())
    with pytest.raises(InputError, match="Cannot read"):
        invoke(plan, tmp_path / "absent.tflite")
    with pytest.raises(InputError, match=r"manifest|bundle"):
        invoke(plan, tmp_path)
    with pytest.raises(UsageError, match="board"):
        invoke(plan, path, "--board", "nothing")
    with pytest.raises(OutputError, match="Cannot write"):
        invoke(plan, path, "--svg", tmp_path / "absent" / "memory.svg")


def test_uint8_at_the_border_is_no_reason_to_refuse(tmp_path: Path) -> None:
    b = GraphBuilder("border")
    x = b.input("x", (1, 6), b.int8(0.05, 128), DType.UINT8)
    x = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=b.int8(0.05))
    assert told(saved(tmp_path, b.build(b.fully_connected(x, 3))))["has_kernels"]


def test_a_c_program_has_one_arena_and_the_board_has_the_last_word(tmp_path: Path) -> None:
    path = saved(tmp_path, convnet())
    report = json.loads(invoke(plan, str(path), "--board", "mps2_an386", "--json").output)
    assert report["target"] == "c"  # all that this board takes
    arena_bytes = plan_program(convnet(), Isa.of("cortex-m4")).memory.arena_bytes
    assert report["arena_bytes"] == report["bound_bytes"] == arena_bytes
    assert report["peak"]["bytes"] <= report["arena_bytes"]
    assert report["fit"]["fits"]
    assert sum(report["fit"]["regions"]["ram"]["items"].values()) == arena_bytes + 4096
    drawing = tmp_path / "memory.svg"
    said = invoke(plan, str(path), "--target", "c", "--svg", str(drawing)).output
    assert "As a C program: arena 1,536 bytes (no plan needs less)" in said
    assert "structures" not in drawing.read_text()


def test_a_board_of_both_kinds_is_planned_for_the_target_named(tmp_path: Path) -> None:
    path = saved(tmp_path, convnet())
    board = ("--board", "nucleo_f446re", "--json")
    assert "target" not in json.loads(invoke(plan, str(path), *board).output)
    named = json.loads(invoke(plan, str(path), *board, "--target", "c").output)
    assert named["fit"]["board"] == "ST Nucleo-F446RE"
