"""Which operation is supported where: the table of docs/ops.md, read off the code itself.

Nothing enters; Markdown leaves. What the interpreters can do is held true by the test of this
module, which runs every operation in them.
"""

from __future__ import annotations

from edgekit.convert.tflite_options import OPS_BY_CODE
from edgekit.graph.ops import TFLITE_NAMES, Op
from edgekit.graph.reference import DEFINITIONS
from edgekit.lower.lowering import LOWERINGS
from edgekit.plan.constraints import OP_RULES
from edgekit.plan.in_place import COPIES, ELEMENT_WISE
from edgekit.plan.tflm_kernels import KERNELS

_YES, _NO = "yes", ""


def op_table() -> str:
    """One row an operation that edgekit computes, then those it only judges."""
    kinds = {name: kind for kind, name in TFLITE_NAMES.items()}
    lines = [
        "| operation | edgekit | TFLite Micro | works in place | C | LiteRT | Edge TPU |",
        "|---|---|---|---|---|---|---|",
        *(_row(name, kinds[name]) for name in sorted(kinds)),
        *(_judged(name) for name in sorted(set(OP_RULES) - set(kinds))),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, kind: type[Op]) -> str:
    known = kind in OPS_BY_CODE.values() and kind in DEFINITIONS
    cells = (
        name,
        "reads, computes, writes" if known else _NO,
        _YES if kind in KERNELS else _NO,
        _YES if kind in (*ELEMENT_WISE, *COPIES) else _NO,
        _YES if kind in LOWERINGS else _NO,
        _YES,
        _edge_tpu(name),
    )
    return f"| {' | '.join(cells)} |"


def _judged(name: str) -> str:
    return f"| {name} | judges |  |  |  |  | {_edge_tpu(name)} |"


def _edge_tpu(name: str) -> str:
    if name not in OP_RULES:
        return _NO
    return "under conditions" if OP_RULES[name] else _YES
