import json
from pathlib import Path

import pytest
from support.deployments import deployment
from support.graphs import GraphBuilder

from edgekit.backends import coral
from edgekit.backends.coral import BACKEND, EDGETPU_FILE, compile_model
from edgekit.graph import ops
from edgekit.graph.ir import Graph


@pytest.fixture(autouse=True)
def no_memory() -> None:
    compile_model.cache_clear()


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A stand-in for Google's compiler, alone on the PATH; arguments: -s -o FOLDER MODEL."""
    program = folder / "edgetpu_compiler"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def with_hard_swish() -> Graph:
    b = GraphBuilder()
    x = b.conv(b.input("image", (1, 8, 8, 3), b.int8(1 / 64, -1)), 4, (3, 3), name="stem")
    x = b.add(ops.HardSwish(), x, name="swish")
    return b.build(b.fully_connected(b.flatten(x), 5, name="scores"))


def test_without_the_compiler_the_bundle_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    files = BACKEND.files(deployment("coral_usb"))
    assert not [name for name in files if "edgetpu" in name]
    readme = " ".join(files["README.md"].decode().split())
    assert "was not installed when this was built" in readme
    assert "apt-get install edgetpu-compiler" in readme
    section = BACKEND.report(deployment("coral_usb"))["edgetpu"]
    assert section["compiled"] is False


def test_with_the_compiler_its_model_and_log_are_bundled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = (
        f'test "$1 $2" = "-s -o" && test -s "$4" && echo said\n'
        f"printf 'xxxxTFL3 stands for edgetpu-custom-op' > \"$3/{EDGETPU_FILE}\""
    )
    install(tmp_path, monkeypatch, script)
    files = BACKEND.files(deployment("coral_usb"))
    assert files[EDGETPU_FILE] == b"xxxxTFL3 stands for edgetpu-custom-op"
    assert files["edgetpu_compiler.log"] == b"said\n"
    assert b"apt-get install edgetpu-compiler" not in files["README.md"]
    assert BACKEND.report(deployment("coral_usb"))["edgetpu"]["compiled"] is True


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo no >&2; exit 3", "failed with code 3"),
        ("exit 0", "mapped nothing"),
        (f"printf 'xxxxTFL3 nothing' > \"$3/{EDGETPU_FILE}\"", "mapped nothing"),
        ("exec sleep 9", "took more than 1 seconds"),
    ],
)
def test_a_failing_compiler_gives_no_model_but_a_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, problem: str
) -> None:
    monkeypatch.setattr(coral, "_COMPILER_SECONDS", 1)
    install(tmp_path, monkeypatch, script)
    compiled = compile_model(b"model")
    assert compiled.model is None and problem in compiled.problem
    section = BACKEND.report(deployment("coral_usb", tflite=b"model"))["edgetpu"]
    assert problem in section["compiler"]


def test_preflight_names_each_op_and_the_rule_that_decides() -> None:
    files = BACKEND.files(deployment("coral_usb", with_hard_swish()))
    lines = files["preflight.txt"].decode().splitlines()
    assert lines[2] == "   0  CONV_2D          TPU: mapped to the Edge TPU"
    assert lines[3] == (
        "   1  HARD_SWISH       CPU: breaks the rule 'The compiler supports the operation.'"
    )
    assert lines[4].startswith("   2  RESHAPE          CPU: follows an op on the CPU")
    assert "1 of 4 operators on the Edge TPU, in 1 subgraph." in lines
    document = json.loads(files["preflight.json"])
    assert (document["mapped"], document["cpu"], document["subgraphs"]) == (1, 3, 1)
    assert document["ops"][1]["node"] == "swish"


def test_report_is_the_preflight() -> None:
    made = deployment("coral_usb", with_hard_swish())
    section = BACKEND.report(made)["edgetpu"]
    assert section["ops"] == json.loads(BACKEND.files(made)["preflight.json"])["ops"]
