import os
from pathlib import Path

import pytest

from edgekit.errors import InputError
from edgekit.plan import boards
from edgekit.plan.constraints import OP_RULES
from edgekit.plan.tables import board_table, refreshed

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.mark.parametrize("name", ["targets.md", "edgetpu.md"])
def test_documents_hold_the_current_tables(name: str) -> None:
    """EDGEKIT_UPDATE_GOLDEN=1 writes them anew."""
    document = (DOCS / name).read_text(encoding="utf-8")
    if os.environ.get("EDGEKIT_UPDATE_GOLDEN"):
        (DOCS / name).write_text(refreshed(document), encoding="utf-8")
    assert (DOCS / name).read_text(encoding="utf-8") == refreshed(document)
    assert "<!-- table:" in document


def test_every_board_and_op_has_a_row() -> None:
    for board in boards.names():
        assert board in board_table()
    document = refreshed("<!-- table: edgetpu -->\n<!-- end -->")
    for op in OP_RULES:
        assert f"| {op} |" in document


def test_a_table_that_does_not_exist_is_named() -> None:
    with pytest.raises(InputError, match="no table 'absent'"):
        refreshed("<!-- table: absent -->\nold\n<!-- end -->")
