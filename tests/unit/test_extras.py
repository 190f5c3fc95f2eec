"""What edgekit imports is what pyproject.toml says it needs, in the core and in each extra."""

import ast
import re
import sys
from pathlib import Path

import pytest

from edgekit import extras
from edgekit.errors import MissingToolError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OF_EXTRAS = {module for modules in extras.MODULES.values() for module in modules}
PACKAGE_OF = {
    "PIL": "pillow",
    "google": "protobuf",
    "elftools": "pyelftools",
    "tensorflow": "tensorflow-cpu",
}  # where a module is not named like it


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0].lower() for requirement in requirements}


def imported() -> set[str]:
    """The first names of all modules from elsewhere that the package imports anywhere."""
    found = set()
    for path in (ROOT / "edgekit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).split(".")[0])
    return found - sys.stdlib_module_names - {"edgekit", "tomllib"}


def test_the_core_depends_on_exactly_what_it_imports() -> None:
    declared = names(PROJECT["dependencies"])
    used = imported() - OF_EXTRAS
    assert {PACKAGE_OF.get(module, module.replace("_", "-")) for module in used} == declared


@pytest.mark.parametrize("extra", extras.MODULES)
def test_an_extra_brings_the_modules_it_is_asked_for(extra: str) -> None:
    declared = names(PROJECT["optional-dependencies"][extra])
    brought = extras.MODULES[extra]
    assert {PACKAGE_OF.get(m, m.replace("_", "-")) for m in brought} == declared


def test_the_constraints_pin_every_package_of_the_project() -> None:
    pinned = names((ROOT / "constraints.txt").read_text().splitlines())
    groups = PROJECT["optional-dependencies"].values()
    declared = names([*PROJECT["dependencies"], *(item for group in groups for item in group)])
    assert declared - {"edgekit", "tomli"} <= pinned


@pytest.mark.parametrize("extra", extras.MODULES)
def test_a_missing_extra_is_named_with_the_way_to_install_it(
    extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = extras.MODULES[extra][-1]
    monkeypatch.setitem(sys.modules, lost, None)
    with pytest.raises(MissingToolError, match=f"'{extra}' extra.*{lost}") as caught:
        extras.require(extra)
    assert f"pip install 'edgekit[{extra}]'" in caught.value.hint


def test_an_extra_that_is_there_passes_without_being_imported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a_module_that_fails.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(extras, "MODULES", {"some": ("a_module_that_fails",)})
    extras.require("some")
