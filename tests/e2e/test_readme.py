"""The README's commands are run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    """The lines of the README's sh blocks, without comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].split(" # ")[0].strip() for line in lines if line.strip()]


def recipe(target: str) -> str:
    """What a target of the Makefile runs."""
    makefile = (ROOT / "Makefile").read_text()
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert found, f"the Makefile has no target {target}"
    return found[1]


def test_make_demo_is_the_command_the_readme_begins_with() -> None:
    first = commands()[0]
    assert first == "edgekit build mobilenet_v1 --alpha 0.25 --rho 0.571 --target coral"
    assert recipe("demo").strip() == f"$(BIN)/{first}"


def test_continuous_integration_runs_the_readmes_make_commands() -> None:
    script = (ROOT / ".ci/run").read_text()
    for command in commands():
        if command.startswith("make "):
            assert command in script.splitlines()


@pytest.mark.slow
def test_the_other_commands_work(tmp_path: Path) -> None:
    rest = [c for c in commands()[1:] if not c.startswith("make ")]
    assert len(rest) >= 4
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "EDGEKIT_CACHE": str(tmp_path / "cache"), "PATH": beside_python}
    for command in rest:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
