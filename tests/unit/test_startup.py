"""What a command imports before it works: a start stays fast, and the core needs no extra."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from edgekit.extras import MODULES

# Each costs a noticeable part of a second.
HEAVY = {
    "numpy",
    "torch",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
    "rich",
    "pydantic",
    "jinja2",
    "PIL",
}
TORCH_ROOMS = {
    "edgekit.models.checkpoints",
    "edgekit.models.module",
    "edgekit.models.modules",
    "edgekit.convert.torch_onnx",
    "edgekit.models.narrow",
    *(
        f"edgekit.compress.pruning.{name}"
        for name in ("groups", "importance", "prune", "sensitivity", "target")
    ),
}
TORCH_PACKAGES = ("edgekit.training.", "edgekit.compress.simulation.")
BLOCK = (
    f"import sys; sys.modules.update(dict.fromkeys({[m for x in MODULES.values() for m in x]}))\n"
)


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["build", "--help"], {"rich"}),
        (["train", "--help"], {"rich"}),
        (["models"], set()),
        (["scale", "--search"], set()),
        (["boards"], {"pydantic"}),
    ],
    ids=" ".join,
)
def test_a_command_imports_nothing_heavy_it_does_not_use(
    arguments: list[str], allowed: set[str]
) -> None:
    code = f"""
import contextlib, io, json, sys
from edgekit.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main({arguments!r})
print(json.dumps([said.getvalue(), sorted(sys.modules)]))
"""
    said, modules = json.loads(python(code))
    assert said.strip()
    assert HEAVY.intersection(modules) <= allowed
    assert all(find_spec(name) for name in HEAVY - {"torch"}), "a name that is no module"


def test_every_module_but_those_of_torch_imports_without_any_extra() -> None:
    code = f"""{BLOCK}
import pkgutil, edgekit
for module in pkgutil.walk_packages(edgekit.__path__, "edgekit."):
    outside = module.name in {TORCH_ROOMS} or module.name.startswith({TORCH_PACKAGES})
    if not outside and not module.name.endswith("__main__"):
        __import__(module.name)
        print(module.name)
"""
    names = python(code).split()
    assert len(names) > 100 and "edgekit.pipeline" in names
