"""The C++ of networks other than picture classifiers, compiled; TFLite Micro itself is a stub."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bundles import written
from support.cxx import CXX, STRICT, STUBS, needs_compiler, shell
from support.deployments import bare_deployment, deployment, picture_contract
from support.graphs import GraphBuilder
from support.networks import (
    HOSTILE,
    features,
    float_ends,
    float_pictures,
    keyword_spotter,
    mixed_ends,
    two_by_two,
    with_hostile_names,
)
from support.shared import shared_file

from edgekit.backends.base import Deployment, Golden
from edgekit.backends.firmware import self_test_vectors
from edgekit.backends.tflm import BACKEND
from edgekit.convert.tflite_reader import read
from edgekit.emulate.oracle import verify
from edgekit.errors import InputError, UnsupportedError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Node, Quantization, Tensor

BOARD = "arduino_nano_33_ble"
NETWORKS: dict[str, Callable[[], Graph]] = {
    "keywords": keyword_spotter,
    "two": two_by_two,
    "floats": float_ends,
    "mixed": mixed_ends,
    "features": features,
    "float_pictures": float_pictures,
    "hostile": lambda: with_hostile_names(mixed_ends()),
}


def made(name: str, **changes: Any) -> Deployment:
    graph = NETWORKS[name]()
    if name in ("features", "float_pictures"):
        changes["preprocessing"] = picture_contract(graph.tensors[graph.inputs[0]])
    if name == "hostile":
        changes |= {"name": HOSTILE, "labels": (HOSTILE, "???/", "\\")}
    return bare_deployment(BOARD, graph, **changes)


def ends(count: int, side: str) -> list[str]:
    return [f"{side}{i}" if count > 1 else side for i in range(count)]


def dump(folder: Path, program: Path, statements: str) -> bytes:
    """What C++ that includes the bundle's headers prints."""
    program.with_suffix(".cc").write_text(
        f'#include <stdio.h>\n#include "golden_vectors.h"\nint main() {{\n{statements}}}\n'
    )
    shell(CXX, *STRICT, "-trigraphs", "-I", folder, program.with_suffix(".cc"), "-o", program)
    return subprocess.run([program], capture_output=True, check=True).stdout


@needs_compiler
@pytest.mark.parametrize("name", NETWORKS)
def test_golden_vectors_are_the_same_bytes_in_c(name: str, tmp_path: Path) -> None:
    deployment = made(name)
    folder = written(tmp_path / "b", deployment)
    names = ends(len(deployment.inputs), "Input") + ends(len(deployment.outputs), "Output")
    lines = [f"  fwrite(kGolden{end}, sizeof kGolden{end}, 1, stdout);\n" for end in names]
    values = (*deployment.golden.inputs, *deployment.golden.outputs)
    expected = b"".join(array.tobytes() for array in values)
    assert dump(folder, tmp_path / "dump", "".join(lines)) == expected


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_main_tells_a_passed_from_a_failed_self_test(name: str, tmp_path: Path) -> None:
    """Linked with a stub of the interpreter that answers with the golden outputs."""
    deployment = made(name)
    folder = written(tmp_path / "b", deployment)
    stub = STUBS / "tensorflow/lite/micro/micro_interpreter.cc"
    names = {
        side: ",".join(f"GOLDEN(kGolden{end})" for end in ends(count, side.title()))
        for side, count in (("INPUT", len(deployment.inputs)), ("OUTPUT", len(deployment.outputs)))
    }
    defines = [f"-DSTUB_{side}S={golden}" for side, golden in names.items()]
    program = tmp_path / "self_test"
    sources = (folder / "main.cc", folder / "model_data.cc", stub)
    shell(CXX, *STRICT, *defines, "-I", STUBS, "-I", folder, *sources, "-o", program)
    lines = shell(program).splitlines()
    word = "right" if any(t.dtype is DType.FLOAT32 for t in deployment.outputs) else "exact"
    vectors = [line for line in lines if line.startswith("golden vector")]
    assert [line[: len(word) + 17] for line in vectors] == [
        f"golden vector {i}: {word}" for i in range(4)
    ]
    assert lines[-1] == "self test: PASSED"
    spoil = {**os.environ, "SPOIL": "1"}
    done = subprocess.run([program], env=spoil, capture_output=True, text=True)
    assert done.returncode == 1 and "self test: FAILED" in done.stdout
    assert ("golden vector 0: WRONG, " in done.stdout) == (deployment.classes is not None)


@needs_compiler
def test_settings_of_several_ends(tmp_path: Path) -> None:
    folder = written(tmp_path / "b", made("mixed"))
    said = dump(
        folder,
        tmp_path / "dump",
        '  printf("%d %d %d %d %d|", kInput0Elements, kInput1Elements, kOutput0Elements,\n'
        "         kOutput1Elements, kClasses);\n"
        '  printf("%.9g %d %.9g %d|", static_cast<double>(kInput1Scale), kInput1ZeroPoint,\n'
        "         static_cast<double>(kOutput0Scale), kOutput0ZeroPoint);\n"
        '  for (const char* label : kLabels) printf("%s,", label);\n',
    ).decode()
    assert said == "12 12 3 12 3|0.0199999996 0 0.00390625 -128|0,1,2,"
    text = (folder / "model_settings.h").read_text()
    assert "kInput0Scale" not in text and "kInputTable" not in text and "kInputHeight" not in text


@needs_compiler
def test_hostile_labels_mean_the_same_in_c(tmp_path: Path) -> None:
    deployment = made("hostile")
    assert deployment.labels is not None
    folder = written(tmp_path / "b", deployment)
    said = dump(
        folder,
        tmp_path / "dump",
        '  for (const char* label : kLabels) printf("%s\\1", label);\n',
    ).decode()
    shown = [label.split("\0")[0] for label in deployment.labels]  # where C strings end
    assert said.split("\1")[:-1] == shown


@needs_compiler
def test_pixels_for_a_float_input_are_normalized(tmp_path: Path) -> None:
    deployment = made("float_pictures")
    contract = deployment.preprocessing
    assert contract is not None
    folder = written(tmp_path / "b", deployment)
    said = dump(
        folder,
        tmp_path / "dump",
        "  for (int v = 0; v < 256; ++v)\n"
        "    for (int c = 0; c < kInputChannels; ++c) {\n"
        "      const float real = NormalizePixel(c, static_cast<uint8_t>(v));\n"
        "      fwrite(&real, sizeof real, 1, stdout);\n"
        "    }\n",
    )
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert said == contract.normalize(ramp).tobytes()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_model_is_checked_and_exact(name: str) -> None:
    deployment = made(name)
    BACKEND.check(deployment)
    golden = deployment.golden
    verdict = verify(deployment.tflite, golden.inputs, golden.outputs)
    if not verdict.checked:
        pytest.skip(verdict.reason)
    assert verdict.samples == 4


def test_headers_stay_small_and_say_how_many_vectors_they_hold() -> None:
    b = GraphBuilder("large", 1)
    x = b.input("image", (1, 100, 100, 3), b.int8(1 / 128, 0))
    graph = b.build(b.add(ops.AveragePool2D((100, 100), (100, 100)), x))
    files = BACKEND.files(bare_deployment("nucleo_h743zi", graph))
    assert b"// The first 2 of the 4 vectors in golden/.\n" in files["golden_vectors.h"]
    assert b"2 of the 4 golden vectors" in files["README.md"]
    assert len(files["golden_vectors.h"]) < 400_000
    wide = Golden((np.zeros((9, 1, 300_000), np.float32),), (np.zeros((9, 1), np.float32),))
    assert len(self_test_vectors(wide)) == 1


def test_uint8_networks_are_refused_by_name() -> None:
    file = shared_file("coral/mobilenet_v1_0.25_128_quant.tflite")
    graph = read(file)
    contract = picture_contract(graph.tensors[graph.inputs[0]])
    deployed = bare_deployment("nucleo_h743zi", graph, tflite=file, preprocessing=contract)
    with pytest.raises(UnsupportedError, match=r"\(CONV_2D\) computes with uint8") as caught:
        BACKEND.check(deployed)
    assert "rpi and coral" in caught.value.hint


def test_uint8_at_the_ends_only_is_run() -> None:
    b = GraphBuilder("border", 2)
    x = b.input("image", (1, 12, 10, 3), b.int8(1 / 128, 127), DType.UINT8)
    q = b.int8(1 / 128, -1)
    x = b.add(ops.Quantize(), x, dtype=DType.INT8, quantization=q)
    x = b.conv(x, 2, (3, 3), quantization=b.int8(0.1, 0))
    q = Quantization.per_tensor(0.1, 128)
    graph = b.build(b.add(ops.Quantize(), x, dtype=DType.UINT8, quantization=q))
    contract = picture_contract(graph.tensors[graph.inputs[0]])
    deployed = bare_deployment(BOARD, graph, preprocessing=contract)
    BACKEND.check(deployed)
    golden = deployed.golden
    verdict = verify(deployed.tflite, golden.inputs, golden.outputs)
    assert verdict.checked or "not installed" in verdict.reason
    settings = BACKEND.files(deployed)["model_settings.h"].decode()
    assert "constexpr uint8_t kInputTable[kInputChannels][256]" in settings
    ramp = settings.split("kInputTable[kInputChannels][256] = {\n    {\n")[1].split("}")[0]
    values = np.array(ramp.replace("\n", " ").replace(",", " ").split(), int)
    expected = contract.table()[0].astype(int) + 128
    np.testing.assert_array_equal(values, expected)


def test_ops_that_edgekit_cannot_compute_are_refused_by_name() -> None:
    x = Tensor("x", (1, 4), DType.FLOAT32)
    node = Node("y", ops.Opaque("ARG_MAX", 56), ("x",), ("y",))
    tensors = {"x": x, "y": Tensor("y", (1,), DType.INT64)}
    graph = Graph("opaque", tensors, (node,), ("x",), ("y",))
    golden = Golden((np.zeros((1, 1, 4), np.float32),), (np.zeros((1, 1), np.int64),))
    usual = deployment(BOARD)
    deployed = Deployment(
        **{**vars(usual), "graph": graph, "labels": None, "preprocessing": None, "golden": golden}
    )
    with pytest.raises(UnsupportedError, match=r"'y' \(ARG_MAX\)"):
        BACKEND.check(deployed)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="2 labels, but output 'words' has 4 values"):
        made("keywords", labels=("yes", "no"))
