import json
from pathlib import Path

import numpy as np
import pytest
from support.bundles import written
from support.deployments import bare_deployment, deployment
from support.graphs import GraphBuilder
from support.networks import float_ends
from support.shared import shared_file

from edgekit.backends import coral
from edgekit.backends.coral import BACKEND, EDGETPU_FILE, compile_model, preflight
from edgekit.convert.tflite_reader import read
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor
from edgekit.plan.constraints import OP_RULES
from edgekit.plan.partition import partition


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
    if "sleep" in script:
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


def test_a_border_in_float_stays_on_the_cpu() -> None:
    made = bare_deployment("coral_usb", float_ends())
    section = BACKEND.report(made)["edgetpu"]
    verdicts = [(op["name"], op["mapped"]) for op in section["ops"]]
    assert verdicts == [
        ("QUANTIZE", False),
        ("FULLY_CONNECTED", True),
        ("FULLY_CONNECTED", True),
        ("DEQUANTIZE", False),
    ]
    assert "quantized to int8 or uint8" in section["ops"][0]["reason"]
    readme = BACKEND.files(made)["README.md"].decode()
    assert "maps 2 of 4 operators" in readme


def test_a_rebuild_keeps_what_the_compiler_made_of_the_same_model(tmp_path: Path) -> None:
    folder = written(tmp_path / "b", deployment("coral_usb"))
    for name in (EDGETPU_FILE, "model_int8_edgetpu.log"):
        (folder / name).write_bytes(b"by the compiler")
    written(folder, deployment("coral_usb", name="renamed"))
    assert (folder / EDGETPU_FILE).read_bytes() == b"by the compiler"
    written(folder, bare_deployment("coral_usb", float_ends()))
    assert not (folder / EDGETPU_FILE).exists()


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.5_160_quant"])
def test_uint8_networks_are_judged_as_the_compiler_did(name: str) -> None:
    """Google's compiler put all of these on the Edge TPU: only its own op is left."""
    graph = read(shared_file(f"coral/{name}.tflite"))
    compiled = read(shared_file(f"coral/{name}_edgetpu.tflite"), allow_opaque=True)
    assert [node.op.tflite_name for node in compiled.nodes] == ["edgetpu-custom-op"]
    placed = partition(graph)
    assert placed.is_fully_mapped
    assert f"{len(graph.nodes)} of {len(graph.nodes)} operators" in preflight(name, placed)


def test_ops_that_edgekit_only_reads_are_judged() -> None:
    data = shared_file("coral/deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite")
    placed = partition(read(data, allow_opaque=True))
    text = preflight("deeplab", placed)
    assert len(text.splitlines()) == len(placed.placements) + 5
    verdicts = {p.op: p.mapped for p in placed.placements}
    assert verdicts["CONV_2D"] and not verdicts["ARG_MAX"]


def test_any_shape_of_an_unverified_op_is_judged() -> None:
    """Readers verify what edgekit computes; the other ops may hold anything."""
    random = np.random.default_rng(0)
    others = sorted(set(OP_RULES) - set(ops.TFLITE_NAMES.values()))
    for name in [*others, "custom\nop"] * 40:
        tensors: dict[str, Tensor] = {}
        count = int(random.integers(1, 6))
        for i in range(count):
            shape = tuple(map(int, random.integers(0, 4, random.integers(0, 6))))
            kind = (DType.INT8, DType.INT32, DType.FLOAT32)[random.integers(0, 3)]
            value = (
                random.integers(-3, 4, shape).astype(kind.numpy) if random.random() < 0.4 else None
            )
            q = Quantization.per_tensor(0.1, 0) if kind is DType.INT8 else None
            tensors[f"t{i}"] = Tensor(f"t{i}", shape, kind, q, None if i == count - 1 else value)
        *inputs, output = tensors
        node = Node("n", ops.Opaque(name, 200), tuple(inputs), (output,))
        placed = partition(Graph("g", tensors, (node,), (), (output,)))
        assert len(preflight("g", placed).splitlines()) == 6
