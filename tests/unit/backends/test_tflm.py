"""The generated C++: compiled for real where no TFLM is needed, else against stub headers."""

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.bundles import written
from support.cxx import CMAKE, CXX, STRICT, STUBS, needs_compiler, shell
from support.deployments import LABELS, deployment
from support.graphs import single_op_graphs

from edgekit.backends.base import Golden
from edgekit.backends.firmware import self_test_vectors
from edgekit.backends.tflm import BACKEND, fit, op_names
from edgekit.errors import DoesNotFitError


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("tflm") / "b", deployment("arduino_nano_33_ble"))


@needs_compiler
def test_model_array_is_the_model_byte_for_byte_and_aligned(bundle: Path, tmp_path: Path) -> None:
    main = tmp_path / "dump.cc"
    main.write_text(
        "#include <stdint.h>\n#include <stdio.h>\n"
        '#include "model_data.h"\n'
        "int main() {\n"
        "  if (reinterpret_cast<uintptr_t>(kModelData) % 16 != 0) return 1;\n"
        "  return fwrite(kModelData, 1, kModelDataBytes, stdout) != sizeof(kModelData);\n"
        "}\n"
    )
    program = tmp_path / "dump"
    shell(CXX, *STRICT, "-I", bundle, main, bundle / "model_data.cc", "-o", program)
    done = subprocess.run([program], capture_output=True, check=True)
    assert done.stdout == (bundle / "model_int8.tflite").read_bytes()


@needs_compiler
def test_settings_and_golden_vectors_mean_what_the_deployment_says(
    bundle: Path, tmp_path: Path
) -> None:
    made = deployment("arduino_nano_33_ble")
    main = tmp_path / "dump.cc"
    main.write_text(
        '#include <stdio.h>\n#include "golden_vectors.h"\n'
        "int main() {\n"
        '  printf("%d %d %d %d %d\\n", kArenaBytes, kInputHeight, kInputWidth, kInputChannels, '
        "kClasses);\n"
        '  printf("%.9g %d %.9g %d\\n", static_cast<double>(kInputScale), kInputZeroPoint, '
        "static_cast<double>(kOutputScale), kOutputZeroPoint);\n"
        '  for (const char* label : kLabels) printf("%s\\n", label);\n'
        "  for (int c = 0; c < kInputChannels; ++c)\n"
        '    for (int v = 0; v < 256; ++v) printf("%d ", QuantizePixel(c, v));\n'
        '  printf("\\n");\n'
        '  for (const auto& row : kGoldenInput) for (int v : row) printf("%d ", v);\n'
        '  printf("\\n");\n'
        '  for (const auto& row : kGoldenOutput) for (int v : row) printf("%d ", v);\n'
        "}\n"
    )
    shell(CXX, *STRICT, "-I", bundle, main, "-o", tmp_path / "dump")
    lines = shell(tmp_path / "dump").split("\n")
    assert lines[0] == f"{made.arena.arena_bytes} 16 16 3 5"
    assert lines[1] == "0.0078125 -1 0.00390625 -128"
    assert tuple(lines[2:7]) == LABELS
    expected = (made.preprocessing.table(), made.golden.inputs[0], made.golden.outputs[0])
    for line, values in zip(lines[7:], expected, strict=True):
        np.testing.assert_array_equal(np.array(line.split(), int), values.reshape(-1))


@needs_compiler
@pytest.mark.slow
def test_every_op_has_a_name_that_the_resolver_knows(tmp_path: Path) -> None:
    """Checked against stub headers, not against TFLite Micro."""
    ops = set()
    for graph in single_op_graphs(quantized=True).values():
        ops.update(op_names(graph))
    calls = "".join(f"  resolver.Add{op}();\n" for op in sorted(ops))
    (tmp_path / "all.cc").write_text(
        '#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"\n'
        f"void All(tflite::MicroMutableOpResolver<{len(ops)}>& resolver) {{\n{calls}}}\n"
    )
    shell(CXX, "-std=c++17", "-fsyntax-only", "-I", STUBS, tmp_path / "all.cc")


@needs_compiler
def test_main_tells_a_passed_from_a_failed_self_test(bundle: Path, tmp_path: Path) -> None:
    """Linked with a stub of the interpreter that answers with the golden outputs."""
    stub = STUBS / "tensorflow/lite/micro/micro_interpreter.cc"
    sources = (bundle / "main.cc", bundle / "model_data.cc", stub)
    program = tmp_path / "self_test"
    shell(CXX, *STRICT, "-I", STUBS, "-I", bundle, *sources, "-o", program)
    arena = deployment("arduino_nano_33_ble").arena.arena_bytes
    lines = shell(program).splitlines()
    assert lines[0] == f"arena: {arena - 16} of {arena} bytes used"
    assert [line.split(", ")[0] for line in lines[1:-1]] == [
        f"golden vector {i}: exact" for i in range(4)
    ]
    assert lines[-1] == "self test: PASSED"
    for variable, words in (("SPOIL", "self test: FAILED"), ("NO_ARENA", "too small")):
        done = subprocess.run(
            [program], env={**os.environ, variable: "1"}, capture_output=True, text=True
        )
        assert done.returncode == 1
        assert words in done.stdout


@needs_compiler
@pytest.mark.skipif(CMAKE is None, reason="cmake is not installed")
@pytest.mark.slow
def test_cmake_project_builds_against_a_tree_and_asks_for_one(bundle: Path, tmp_path: Path) -> None:
    """The tree is the stub; its interpreter finds golden_vectors.h in the bundle."""
    tree = tmp_path / "tree"
    shutil.copytree(STUBS, tree)
    configure = [CMAKE, "-S", bundle, "-B", tmp_path / "build"]
    refused = subprocess.run([*configure], capture_output=True, text=True)
    assert refused.returncode != 0
    assert "holds no TensorFlow Lite Micro" in " ".join(refused.stderr.split())
    shell(*configure, f"-DTFLM_ROOT={tree}", f"-DCMAKE_CXX_FLAGS=-I{bundle}")
    shell(CMAKE, "--build", tmp_path / "build")
    assert "PASSED" in shell(tmp_path / "build" / "self_test")


def test_readme_says_that_nothing_was_compiled_and_itemises_the_memory(bundle: Path) -> None:
    text = (bundle / "README.md").read_text()
    assert "Nothing here was compiled" in text
    verdict = fit(deployment("arduino_nano_33_ble"))
    for region in verdict.regions:
        assert f"{region.used_bytes:,}" in text and f"{region.capacity_bytes:,}" in text


def test_commands_of_the_readme_follow_the_core() -> None:
    arm = BACKEND.files(deployment("nucleo_h743zi"))["README.md"].decode()
    assert "TARGET=cortex_m_generic OPTIMIZED_KERNEL_DIR=cmsis_nn" in arm
    assert "cmsis_nn" not in BACKEND.files(deployment("esp32_s3"))["README.md"].decode()


def test_golden_vectors_are_cut_to_what_flash_can_hold() -> None:
    golden = Golden((np.zeros((9, 1, 100, 100, 3), np.int8),), (np.zeros((9, 1, 10), np.int8),))
    kept = self_test_vectors(golden)
    assert len(kept) == len(kept.inputs[0]) == len(kept.outputs[0]) == 2
    large = Golden((np.zeros((3, 1, 224, 224, 3), np.int8),), (np.zeros((3, 1, 10), np.int8),))
    assert len(self_test_vectors(large)) == 1


def test_a_model_that_does_not_fit_is_refused() -> None:
    made = deployment("arduino_nano_33_ble")
    BACKEND.check(made)
    with pytest.raises(DoesNotFitError, match="bytes of flash"):
        BACKEND.check(replace(made, tflite=bytes(2 << 20)))
    regions = BACKEND.report(made)["fit"]["regions"]
    assert regions["flash"]["items"]["self test"] == 4 * (16 * 16 * 3 + 5)


def test_headers_have_guards_of_their_own(bundle: Path) -> None:
    guards = [re.findall(r"#ifndef (\w+)", h.read_text())[0] for h in bundle.glob("*.h")]
    assert len(guards) == len(set(guards)) == 4
