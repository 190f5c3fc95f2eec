import os
from pathlib import Path

import numpy as np
import pytest
from support.deployments import LABELS, as_program, bare_deployment, deployment
from support.networks import (
    HOSTILE,
    float_ends,
    keyword_spotter,
    mixed_ends,
    two_by_two,
    with_hostile_names,
)

from edgekit.backends import registry
from edgekit.backends.base import Deployment, Golden, golden_files, read_golden
from edgekit.emit.bundle import read_bundle, write_bundle
from edgekit.errors import InputError, UsageError
from edgekit.plan import boards

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
# What does not change with the model's weights. EDGEKIT_UPDATE_GOLDEN=1 writes them anew.
EMITTED = {
    "coral": ("run.py", "preflight.txt"),
    "rpi": ("run.py",),
    "tflm": ("main.cc", "op_resolver.h", "model_settings.h", "CMakeLists.txt"),
    "c": ("main.c", "board.h", "link.ld", "Makefile", "CMakeLists.txt", "README.md"),
}
# The same for networks other than picture classifiers: folder, backend, network, files.
OTHERS = {
    "coral_float_ends": ("coral", float_ends, ("preflight.txt",)),
    "rpi_two_by_two": ("rpi", two_by_two, ("run.py", "README.md")),
    "tflm_mixed_ends": ("tflm", mixed_ends, ("main.cc", "model_settings.h")),
    "c_mixed_ends": ("c", mixed_ends, ("main.c", "model_settings.h", "model.h")),
}


def of_backend(name: str, /, **changes: object) -> Deployment:
    made = deployment(boards.default_for(name).id, **changes)
    return as_program(made) if name == "c" else made


def test_registry_finds_every_backend_and_each_has_a_default_board() -> None:
    assert {"coral", "rpi", "tflm"} <= set(registry.names())
    for name in registry.names():
        assert registry.get(name).name == name
        assert name in boards.default_for(name).backends


def test_unknown_backend_suggests_the_near_one() -> None:
    with pytest.raises(UsageError, match="Unknown target 'corall'") as caught:
        registry.get("corall")
    assert "coral" in caught.value.hint


@pytest.mark.parametrize("name", registry.names())
def test_bundle_holds_models_labels_and_golden_vectors(name: str) -> None:
    made = of_backend(name)
    files = registry.get(name).files(made)
    assert files["model_int8.tflite"] == made.tflite
    assert files["model.onnx"] == made.onnx
    assert files["labels.txt"].decode().splitlines() == list(LABELS)
    assert files["README.md"].startswith(b"# toy_0.25_16 on ")


def test_golden_vectors_survive_the_bundle(tmp_path: Path) -> None:
    made = of_backend("rpi")
    golden = Golden((*made.golden.inputs, np.float32([[[0.5]]])), made.golden.outputs * 11)
    written = read_bundle(write_bundle(tmp_path / "b", golden_files(golden), provenance={}))
    assert len(written.names) == 2 + 11
    back = read_golden(written)
    for name in ("inputs", "outputs"):
        for stored, values in zip(getattr(back, name), getattr(golden, name), strict=True):
            assert stored.dtype == values.dtype
            np.testing.assert_array_equal(stored, values)


@pytest.mark.parametrize("data", [b"", b"no array"])
def test_golden_vectors_that_are_none_are_refused(tmp_path: Path, data: bytes) -> None:
    empty = read_bundle(write_bundle(tmp_path / "a", {}, provenance={}))
    with pytest.raises(InputError, match=r"has no golden/input_0\.npy"):
        read_golden(empty)
    files = {"golden/input_0.npy": data, "golden/output_0.npy": data}
    with pytest.raises(InputError, match="are no arrays"):
        read_golden(read_bundle(write_bundle(tmp_path / "b", files, provenance={})))


@pytest.mark.parametrize("name", registry.names())
def test_same_deployment_gives_the_same_bytes(name: str) -> None:
    assert registry.get(name).files(of_backend(name)) == registry.get(name).files(of_backend(name))


@pytest.mark.parametrize("name", registry.names())
def test_a_model_without_labels_or_onnx_has_neither_file(name: str) -> None:
    files = registry.get(name).files(of_backend(name, labels=None, onnx=None))
    assert not {"labels.txt", "model.onnx"} & set(files)
    assert b"labels.txt" not in files["README.md"]


@pytest.mark.parametrize("name", registry.names())
def test_hostile_names_are_plain_where_they_are_not_quoted(name: str) -> None:
    """Quoted ones are tested where they are compiled or run."""
    graph = with_hostile_names(mixed_ends())
    labels = (HOSTILE, "", "\\")
    made = bare_deployment(boards.default_for(name).id, graph, name=HOSTILE, labels=labels)
    quoted = ("run.py", "model_settings.h", "model_settings.c", "labels.txt", "model.onnx")
    for path, data in registry.get(name).files(made).items():
        if path not in quoted and not path.endswith((".npy", ".tflite", ".json")):
            parts = [part for part in HOSTILE.split() if len(part) > 1]
            text = data.decode()
            if name == "c" and path.endswith((".c", ".h", ".ld")):  # where comments end so
                parts.remove("*/")
                assert text.count("/*") == text.count("*/"), path
            assert not [part for part in parts if part in text], path


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in EMITTED.items() for file in files]
)
def test_emitted_text_is_as_reviewed(name: str, file: str) -> None:
    assert_as_reviewed(registry.get(name).files(of_backend(name))[file], GOLDEN / name / file)


@pytest.mark.parametrize(
    ("folder", "file"), [(folder, file) for folder, row in OTHERS.items() for file in row[2]]
)
def test_emitted_text_of_other_networks_is_as_reviewed(folder: str, file: str) -> None:
    name, network, _ = OTHERS[folder]
    made = bare_deployment(boards.default_for(name).id, network())
    assert_as_reviewed(registry.get(name).files(made)[file], GOLDEN / folder / file)


def assert_as_reviewed(emitted: bytes, golden: Path) -> None:
    if os.environ.get("EDGEKIT_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(emitted)
    assert emitted.decode() == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", registry.names())
def test_text_files_are_tidy(name: str) -> None:
    board = boards.default_for(name).id
    networks = (keyword_spotter, two_by_two, float_ends, mixed_ends)
    made = [of_backend(name), *(bare_deployment(board, network()) for network in networks)]
    files = [file for deployed in made for file in registry.get(name).files(deployed).items()]
    for path, data in files:
        if path.endswith((".npy", ".tflite", ".onnx")):
            continue
        lines = data.decode().split("\n")
        assert lines[-1] == "" and lines[-2] != "", f"{path} ends in one newline"
        assert not [line for line in lines if line != line.rstrip()], f"{path}: trailing blanks"
        assert "\n\n\n\n" not in data.decode(), path
        assert "\t" not in data.decode() or path == "Makefile", path
