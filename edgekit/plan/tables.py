"""The generated tables of the documentation: boards, and the Edge TPU's rules.

Nothing enters but the data themselves; Markdown leaves. In a document a table stands between
`<!-- table: NAME -->` and `<!-- end -->`; `refreshed` puts the current one there. The test of this
module keeps docs/ current and, with EDGEKIT_UPDATE_GOLDEN=1 set, writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from edgekit.errors import InputError
from edgekit.plan import boards
from edgekit.plan.boards import Board
from edgekit.plan.constraints import support_table

_SLOT = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def board_table() -> str:
    """All boards as Markdown, by backend, each backend's default in bold."""
    lines = [
        "| board | backend | core | clock | RAM | flash |",
        "|---|---|---|---|---|---|",
    ]
    every = sorted((boards.load(name) for name in boards.names()), key=_by_backend)
    return "\n".join([*lines, *map(_row, every)]) + "\n"


def _by_backend(board: Board) -> tuple[str, bool, str]:
    return board.backends[0], not board.default_for, board.id


def _row(board: Board) -> str:
    name = f"**{board.id}**" if board.default_for else board.id
    core = board.core + (f" ({', '.join(board.features)})" if board.features else "")
    core += f" + {board.accelerator.name}" if board.accelerator else ""
    clock = f"{board.clock_hz / 1e6:,.0f} MHz" if board.clock_hz else ""
    cells = (
        f"[{name}]({board.datasheet})",
        ", ".join(board.backends),
        core,
        clock,
        _size(board.arena_region.bytes) if board.arena_region else "",
        _size(board.flash_region.bytes) if board.flash_region else "",
    )
    return f"| {' | '.join(cells)} |"


def _size(size_bytes: int) -> str:
    """In the first of these units that divides it; eMMC is sold in decimal gigabytes."""
    units = {"GiB": 1 << 30, "GB": 10**9, "MiB": 1 << 20, "KiB": 1 << 10, "bytes": 1}
    name = next(name for name, unit in units.items() if size_bytes % unit == 0)
    return f"{size_bytes // units[name]} {name}"


TABLES: dict[str, Callable[[], str]] = {"boards": board_table, "edgetpu": support_table}


def refreshed(document: str, tables: Mapping[str, Callable[[], str]] = TABLES) -> str:
    """The document with its tables as they are now.

    Args:
        document: Markdown.
        tables: what makes each table, by its name.

    Raises:
        InputError: it asks for a table that does not exist.
    """

    def table(slot: re.Match[str]) -> str:
        if slot[2] not in tables:
            raise InputError(
                f"There is no table '{slot[2]}'.", hint=f"Tables: {', '.join(tables)}."
            )
        return f"{slot[1]}{tables[slot[2]]()}{slot[3]}"

    return _SLOT.sub(table, document)
