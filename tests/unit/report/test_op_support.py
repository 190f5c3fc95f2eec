import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from support.graphs import single_op_graphs

from edgekit.convert.tflite_writer import write
from edgekit.emulate import litert, tflm
from edgekit.graph.ir import DType, Graph
from edgekit.graph.ops import TFLITE_NAMES
from edgekit.plan.tables import refreshed
from edgekit.report.op_support import op_table

OPS_PAGE = Path(__file__).resolve().parents[3] / "docs" / "ops.md"
TABLES = {"ops": op_table}
GRAPHS = {
    f"{'int8' if quantized else 'float'}_{name}": graph
    for quantized in (True, False)
    for name, graph in single_op_graphs(quantized).items()
}
needs_wheel = pytest.mark.skipif(
    importlib.util.find_spec("tflite_micro") is None, reason="tflite-micro is not installed"
)


def rows() -> dict[str, list[str]]:
    lines = op_table().splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def zeros(graph: Graph) -> list[np.ndarray]:
    tensors = [graph.tensors[name] for name in graph.inputs]
    return [np.zeros(t.shape, np.float32 if t.dtype is DType.FLOAT32 else np.int8) for t in tensors]


def test_the_page_holds_the_current_table() -> None:
    """EDGEKIT_UPDATE_GOLDEN=1 writes it anew."""
    page = OPS_PAGE.read_text(encoding="utf-8")
    if os.environ.get("EDGEKIT_UPDATE_GOLDEN"):
        OPS_PAGE.write_text(refreshed(page, TABLES), encoding="utf-8")
    assert OPS_PAGE.read_text(encoding="utf-8") == refreshed(page, TABLES)
    assert "<!-- table: ops -->" in page


def test_every_operation_has_a_row_and_those_of_edgekit_are_complete() -> None:
    found = rows()
    for name in TFLITE_NAMES.values():
        assert found[name][0] == "reads, computes, writes"
        assert found[name][1] == found[name][3] == found[name][4] == "yes"
    assert found["HARD_SWISH"][2] == "yes"
    assert found["HARD_SWISH"][5] == ""
    assert found["CONV_2D"][5] == "under conditions"
    assert found["TANH"] == ["judges", "", "", "", "", "yes"]


def test_every_operation_is_tried() -> None:
    tried = {node.op.tflite_name for graph in GRAPHS.values() for node in graph.nodes}
    assert tried == set(TFLITE_NAMES.values())


@needs_wheel
@pytest.mark.parametrize("name", GRAPHS)
def test_tflite_micro_runs_it(name: str) -> None:
    assert tflm.run(write(GRAPHS[name]), zeros(GRAPHS[name]))


@pytest.mark.parametrize("name", GRAPHS)
def test_litert_runs_it(name: str) -> None:
    graph = GRAPHS[name]
    assert litert.run(write(graph), zeros(graph), litert.Kernels.REFERENCE)
