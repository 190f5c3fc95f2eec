import ast
import io
import os
from pathlib import Path

import numpy as np
import pytest
from support.deployments import LABELS, deployment

from edgekit.backends import registry
from edgekit.backends.base import Deployment
from edgekit.errors import UsageError
from edgekit.plan import boards

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
# What does not change with the model's weights. EDGEKIT_UPDATE_GOLDEN=1 writes them anew.
EMITTED = {
    "coral": ("run.py", "preflight.txt"),
    "rpi": ("run.py",),
    "tflm": ("main.cc", "op_resolver.h", "model_settings.h", "CMakeLists.txt"),
}


def of_backend(name: str, /, **changes: object) -> Deployment:
    return deployment(boards.default_for(name).id, **changes)


def test_registry_finds_every_backend_and_each_has_a_default_board() -> None:
    assert {"coral", "rpi", "tflm"} <= set(registry.names())
    for name in registry.names():
        assert registry.get(name).name == name
        assert boards.default_for(name).backend == name


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
    for part in ("input", "output"):
        for i, values in enumerate(getattr(made.golden, f"{part}s")):
            stored = np.load(io.BytesIO(files[f"golden/{part}_{i}.npy"]))
            np.testing.assert_array_equal(stored, values)


@pytest.mark.parametrize("name", registry.names())
def test_same_deployment_gives_the_same_bytes(name: str) -> None:
    assert registry.get(name).files(of_backend(name)) == registry.get(name).files(of_backend(name))


@pytest.mark.parametrize("name", registry.names())
def test_a_model_without_labels_or_onnx_has_neither_file(name: str) -> None:
    files = registry.get(name).files(of_backend(name, labels=None, onnx=None))
    assert not {"labels.txt", "model.onnx"} & set(files)
    assert b"labels.txt" not in files["README.md"]


@pytest.mark.parametrize("name", registry.names())
def test_hostile_names_stay_inside_their_comments_and_strings(name: str) -> None:
    hostile = 'x"""\n*/ ${HOME} \\'
    for path, data in registry.get(name).files(of_backend(name, name=hostile)).items():
        if path.endswith(".py"):
            ast.parse(data)
        if not path.endswith((".npy", ".tflite", ".json")):
            assert b'"""\n*/' not in data and b"${HOME}" not in data, path


@pytest.mark.parametrize(
    ("name", "file"), [(name, file) for name, files in EMITTED.items() for file in files]
)
def test_emitted_text_is_as_reviewed(name: str, file: str) -> None:
    emitted = registry.get(name).files(of_backend(name))[file]
    golden = GOLDEN / name / file
    if os.environ.get("EDGEKIT_UPDATE_GOLDEN"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_bytes(emitted)
    assert emitted.decode() == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", registry.names())
def test_text_files_are_tidy(name: str) -> None:
    for path, data in registry.get(name).files(of_backend(name)).items():
        if path.endswith((".npy", ".tflite", ".onnx")):
            continue
        lines = data.decode().split("\n")
        assert lines[-1] == "" and lines[-2] != "", f"{path} ends in one newline"
        assert not [line for line in lines if line != line.rstrip()], f"{path}: trailing blanks"
        assert "\n\n\n\n" not in data.decode(), path
        assert "\t" not in data.decode(), path
