"""The floors of the house: imports run downwards only, and torch stays in its rooms."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "edgekit"

FLOORS = {
    **dict.fromkeys(("cli", "__main__"), 8),
    "pipeline": 7,
    "stages": 6,
    "backends": 5,
    **dict.fromkeys(("training", "emit", "emulate", "report"), 4),
    **dict.fromkeys(("models", "data", "convert", "compress", "plan"), 3),
    "lower": 2,
    **dict.fromkeys(("graph", "preprocessing", "extras"), 1),
    **dict.fromkeys(("errors", "resources", "progress", "interruption", "__init__"), 0),
}
TORCH_ROOMS = (
    "models/checkpoints.py",
    "models/module.py",
    "models/modules.py",
    "training/",
    "convert/torch_onnx.py",
    "compress/pruning/",
    "models/narrow.py",
    "compress/simulation/",
)
FILES = sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


class NotForTypesOnly(ast.NodeTransformer):
    """Drops `if TYPE_CHECKING:` blocks, which never run."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else self.generic_visit(node)


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(NotForTypesOnly().visit(tree)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_downwards_and_torch_stays_in_its_rooms(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    own = relative.split("/")[0].removesuffix(".py")
    for module in imports(ast.parse(path.read_text())):
        if module.split(".")[0] == "edgekit":
            other = room(module)
            below = FLOORS[other] < FLOORS[own] or own == "__main__"
            assert below or other == own, f"{relative} imports {module}: not downwards"
        if module.split(".")[0] in {"torch", "lightning_fabric", "torch_pruning"}:
            assert relative.startswith(TORCH_ROOMS), f"{relative} imports {module}"
