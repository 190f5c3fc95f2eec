"""The generated run.py of networks that read arrays or write no classes, run as a user runs it."""

import ast
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.bundles import run_py, written
from support.deployments import bare_deployment, picture_contract
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

from edgekit.backends.base import Deployment, Golden
from edgekit.emulate import litert
from edgekit.graph.ir import Graph, Tensor

NETWORKS: dict[str, Callable[[], Graph]] = {
    "keywords": keyword_spotter,
    "two": two_by_two,
    "floats": float_ends,
    "mixed": mixed_ends,
    "features": features,
    "float_pictures": float_pictures,
}
PICTURES = ("features", "float_pictures")


def made(name: str, board: str = "raspberry_pi_4", **changes: Any) -> Deployment:
    graph = NETWORKS[name]()
    if name in PICTURES:
        changes["preprocessing"] = picture_contract(graph.tensors[graph.inputs[0]])
    return bare_deployment(board, graph, **changes)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: written(tmp_path_factory.mktemp(name) / "b", made(name)) for name in NETWORKS}


def reals(values: np.ndarray, tensor: Tensor) -> np.ndarray:
    q = tensor.quantization
    return values.astype(np.float64) if q is None else q.scale * (values - float(q.zero_point))


def by_hand(deployment: Deployment, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """LiteRT's real outputs for one sample."""
    outputs = litert.run(deployment.tflite, inputs)
    return [reals(v, t) for v, t in zip(outputs, deployment.outputs, strict=True)]


def said_values(line: str) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name, values in json.loads(line)["outputs"].items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_verify_counts_the_golden_vectors(bundles: dict[str, Path], name: str) -> None:
    said = run_py(bundles[name], "--verify", "--json")
    assert said.returncode == 0, said.stderr
    result = json.loads(said.stdout)
    deployment = made(name)
    exact = 0
    for i in range(4):
        sample = [values[i] for values in deployment.golden.inputs]
        expected = [
            reals(values[i], tensor)
            for values, tensor in zip(deployment.golden.outputs, deployment.outputs, strict=True)
        ]
        exact += all(map(np.array_equal, by_hand(deployment, sample), expected))
    assert (result["vectors"], result["agree"], result["bit_exact"]) == (4, 4, exact)


def spoiled(golden: Golden) -> Golden:
    """Every value in its neighbour's place."""
    return replace(golden, outputs=tuple(np.roll(v, 1, axis=-1) for v in golden.outputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_verify_fails_on_other_answers(tmp_path: Path, name: str) -> None:
    deployment = made(name)
    folder = written(tmp_path / "b", replace(deployment, golden=spoiled(deployment.golden)))
    assert run_py(folder, "--verify").returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_benchmark_runs_on_noise(bundles: dict[str, Path], name: str) -> None:
    said = run_py(bundles[name], "--benchmark", 2, "--threads", 1)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("2 inferences on the CPU: median ")


def test_two_inputs_come_as_one_npz_or_as_files_in_order(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    deployment = made("two")
    sound, motion = deployment.golden.inputs
    np.savez(tmp_path / "both.npz", motion=motion[0], sound=sound[0])
    np.save(tmp_path / "a.npy", sound[1])
    np.save(tmp_path / "b.npy", motion[1])
    files = [tmp_path / name for name in ("both.npz", "a.npy", "b.npy")]
    said = run_py(bundles["two"], *files, "--json")
    assert said.returncode == 0, said.stderr
    lines = said.stdout.splitlines()
    assert len(lines) == 2
    for i, line in enumerate(lines):
        expected = by_hand(deployment, [sound[i], motion[i]])
        for (name, values), want in zip(said_values(line).items(), expected, strict=True):
            assert name in ("direction", "sum")
            np.testing.assert_array_equal(values, want)
    assert json.loads(lines[0])["sample"] == str(files[0])


def test_outputs_of_a_stack_are_saved_by_name(bundles: dict[str, Path], tmp_path: Path) -> None:
    deployment = made("two")
    sound, motion = deployment.golden.inputs
    np.savez(tmp_path / "stack.npz", sound=sound, motion=motion[:, 0])
    said = run_py(bundles["two"], tmp_path / "stack.npz", "--output", tmp_path / "out.npz")
    assert said.returncode == 0, said.stderr
    assert len(said.stdout.splitlines()) == 4 and "stack.npz[3]: direction [" in said.stdout
    with np.load(tmp_path / "out.npz") as saved:
        assert sorted(saved.files) == ["direction", "sum"]
        for i in range(4):
            direction, both = by_hand(deployment, [sound[i], motion[i]])
            np.testing.assert_array_equal(saved["direction"][i], direction.astype(np.float32))
            np.testing.assert_array_equal(saved["sum"][i], both.astype(np.float32))


def test_a_float_signal_keeps_its_type(bundles: dict[str, Path], tmp_path: Path) -> None:
    deployment = made("floats")
    (signal,) = deployment.golden.inputs
    np.save(tmp_path / "stack.npy", signal[:, 0].astype(np.float64))
    np.savez(tmp_path / "one.npz", anything=signal[3, 0])
    out = tmp_path / "out.npy"
    files = [tmp_path / "stack.npy", tmp_path / "one.npz"]
    said = run_py(bundles["floats"], *files, "--output", out)
    assert said.returncode == 0, said.stderr
    saved = np.load(out)
    assert (saved.shape, saved.dtype) == ((5, 1, 64), np.float32)
    for row, i in zip(saved, (0, 1, 2, 3, 3), strict=True):
        np.testing.assert_array_equal(row, by_hand(deployment, [signal[i]])[0])


def test_real_values_are_quantized_and_classes_ranked(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Without labels, the classes are numbers."""
    deployment = made("keywords")
    (mfcc,) = deployment.golden.inputs
    np.save(tmp_path / "real.npy", reals(mfcc[0], deployment.inputs[0])[0])
    np.save(tmp_path / "stack.npy", mfcc)
    files = [tmp_path / "real.npy", tmp_path / "stack.npy"]
    said = run_py(bundles["keywords"], *files, "--json", "--top", 2)
    assert said.returncode == 0, said.stderr
    rows = [json.loads(line) for line in said.stdout.splitlines()]
    assert rows[0]["top"] == rows[1]["top"] and len(rows) == 5
    for row, sample in zip(rows[1:], mfcc, strict=True):
        (scores,) = by_hand(deployment, [sample])
        order = np.argsort(-scores[0], kind="stable")[:2]
        assert [entry["class"] for entry in row["top"]] == order.tolist()
        assert [entry["label"] for entry in row["top"]] == [str(i) for i in order]
        assert [entry["score"] for entry in row["top"]] == scores[0, order].tolist()
        assert "outputs" not in row


def test_labels_name_the_first_output_and_the_others_are_values(tmp_path: Path) -> None:
    deployment = made("mixed", labels=("left", "right", "none\nat all"))
    folder = written(tmp_path / "b", deployment)
    real, integer = deployment.golden.inputs
    np.savez(tmp_path / "x.npz", real=real[0, 0], integer=integer[0])
    out = tmp_path / "out.npz"
    said = run_py(folder, tmp_path / "x.npz", "--json", "--output", out)
    assert said.returncode == 0, said.stderr
    row = json.loads(said.stdout)
    assert {entry["label"] for entry in row["top"]} == {"left", "right", "none at all"}
    assert list(row["outputs"]) == ["sum"]
    scores, both = by_hand(deployment, [real[0], integer[0]])
    assert row["top"][0]["score"] == scores.max()
    np.testing.assert_array_equal(np.array(row["outputs"]["sum"]), both)
    with np.load(out) as saved:
        assert sorted(saved.files) == ["classes", "sum"]
    text = run_py(folder, tmp_path / "x.npz").stdout
    assert f"{row['top'][0]['label']} {row['top'][0]['score']:.3f}, " in text and "sum [" in text


def test_features_of_pictures_are_printed_and_saved(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    deployment = made("features")
    contract = deployment.preprocessing
    assert contract is not None
    random = np.random.default_rng(1)
    photos = [Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8)) for _ in range(2)]
    for i, photo in enumerate(photos):
        photo.save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "features.npy"
    said = run_py(bundles["features"], tmp_path, "--output", out, "--json")
    assert said.returncode == 1 and "broken.png: not a picture" in said.stderr
    saved = np.load(out)
    assert saved.shape == (2, 1, 6)
    for line, row, photo in zip(said.stdout.splitlines(), saved, photos, strict=True):
        (expected,) = by_hand(deployment, [contract.quantize(contract.pixels(photo))[None]])
        np.testing.assert_array_equal(said_values(line)["features"], expected)
        np.testing.assert_array_equal(row, expected.astype(np.float32))


def test_pictures_for_a_float_input_are_normalized(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    deployment = made("float_pictures")
    contract = deployment.preprocessing
    assert contract is not None
    photo = Image.fromarray(np.random.default_rng(2).integers(0, 256, (20, 30, 3), np.uint8))
    photo.save(tmp_path / "x.png")
    said = run_py(bundles["float_pictures"], tmp_path / "x.png", "--json", "--top", 1)
    assert said.returncode == 0, said.stderr
    (scores,) = by_hand(deployment, [contract.normalize(contract.pixels(photo))[None]])
    assert json.loads(said.stdout)["top"][0]["score"] == scores.max()


BAD = {
    "shape.npy": (np.zeros((3, 5), np.int8), "shape (3, 5) is neither (1, 64) nor a stack of it"),
    "nan.npy": (np.full((1, 64), np.nan), "holds what is no finite number"),
    "text.npy": (np.full((1, 64), "a"), "holds what is no finite number"),
    "objects.npy": (np.array([{}]), "allow_pickle"),
    "none.npy": (np.zeros((0, 1, 64), np.float32), "holds no samples"),
}


def test_bad_files_are_named_and_the_others_run(bundles: dict[str, Path], tmp_path: Path) -> None:
    for name, (array, _) in BAD.items():
        np.save(tmp_path / name, array)
    (tmp_path / "empty.npy").write_bytes(b"")
    (tmp_path / "zip.npz").write_bytes(b"PK\x03\x04 and no more")
    np.savez(tmp_path / "names.npz", a=np.zeros(64), b=np.zeros(64))
    np.save(tmp_path / "good.npy", np.zeros((1, 64), np.float32))
    words = {name: text for name, (_, text) in BAD.items()}
    words |= {"empty.npy": "", "zip.npz": "", "names.npz": "signal", "absent.npy": "No such file"}
    files = [tmp_path / name for name in (*words, "good.npy")]
    said = run_py(bundles["floats"], *files)
    assert said.returncode == 1 and "Traceback" not in said.stderr
    assert len(said.stdout.splitlines()) == 1 and "good.npy: rebuilt [" in said.stdout
    for name, text in words.items():
        assert any(f"{name}: " in line and text in line for line in said.stderr.splitlines()), name


def test_incomplete_sets_of_inputs_are_named(bundles: dict[str, Path], tmp_path: Path) -> None:
    np.save(tmp_path / "sound.npy", np.zeros((8, 6, 1)))
    np.save(tmp_path / "motion.npy", np.zeros((3, 1, 10)))
    np.savez(tmp_path / "half.npz", sound=np.zeros((8, 6, 1)))
    files = [tmp_path / name for name in ("sound.npy", "motion.npy", "half.npz", "sound.npy")]
    said = run_py(bundles["two"], *files)
    assert said.returncode == 1 and said.stdout == ""
    lines = [line for line in said.stderr.splitlines() if not line.startswith("INFO")]
    assert "different numbers of samples: [1, 3]" in lines[0]
    assert "motion" in lines[1] and "half.npz" in lines[1]
    assert "has 2 inputs, name a file for each" in lines[2]


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_explained(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", np.zeros(64))
    for name in ("floats", "features"):
        source = tmp_path / "x.npy"
        if name == "features":
            source = tmp_path / "x.png"
            Image.new("RGB", (9, 9)).save(source)
        said = run_py(bundles[name], source, "--output", tmp_path / "absent" / "x.npy")
        assert said.returncode == 1 and "Cannot write" in said.stderr
        assert "Traceback" not in said.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_usage_errors_end_with_two(bundles: dict[str, Path], name: str) -> None:
    assert run_py(bundles[name]).returncode == 2
    assert run_py(bundles[name], "--no-such-option").returncode == 2
    assert run_py(bundles[name], "x", "--top", "0").returncode == 2


def test_what_a_bundle_does_not_need_is_not_in_it(bundles: dict[str, Path]) -> None:
    words = ("PIL", "camera", "MEAN", "--top", "labels", "--output", "zipfile", "CLOSE", "stacked")
    present = {
        name: {word for word in words if word in (folder / "run.py").read_text()}
        for name, folder in bundles.items()
    }
    pictures, classes = {"PIL", "camera", "MEAN"}, {"--top", "labels"}
    values, arrays = {"--output", "CLOSE"}, {"stacked", "zipfile"}
    assert present == {
        "keywords": classes | arrays,
        "two": values | arrays,
        "floats": values | arrays,
        "mixed": classes | values | arrays,
        "features": pictures | values,
        "float_pictures": pictures | classes,
    }
    for name, folder in bundles.items():
        assert ("pillow" in (folder / "requirements.txt").read_text()) == (name in PICTURES)


def test_the_edge_tpu_bundle_reads_arrays_too(tmp_path: Path) -> None:
    deployment = made("two", "coral_usb")
    folder = written(tmp_path / "b", deployment)
    sound, motion = deployment.golden.inputs
    np.savez(tmp_path / "both.npz", motion=motion[0], sound=sound[0])
    said = run_py(folder, tmp_path / "both.npz", "--json", "--cpu")
    assert said.returncode == 0 and "--cpu was given" in said.stderr
    want = by_hand(deployment, [sound[0], motion[0]])
    for values, expected in zip(said_values(said.stdout).values(), want, strict=True):
        np.testing.assert_array_equal(values, expected)


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    graph = with_hostile_names(mixed_ends())
    labels = (HOSTILE, "", "last")
    deployment = bare_deployment("raspberry_pi_4", graph, name=HOSTILE, labels=labels)
    folder = written(tmp_path / "b", deployment)
    rows = ast.parse((folder / "run.py").read_text(encoding="utf-8")).body
    names = [
        row.args[0].value
        for node in rows
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("INPUTS", "OUTPUTS")
        for row in node.value.elts
    ]
    assert names == [*graph.inputs, *graph.outputs]
    for i, values in enumerate(deployment.golden.inputs):
        np.save(tmp_path / f"{i}.npy", values[0])
    files, out = [tmp_path / "0.npy", tmp_path / "1.npy"], tmp_path / "out.npz"
    said = run_py(folder, *files, "--json", "--top", 3, "--output", out)
    assert said.returncode == 0, said.stderr
    row = json.loads(said.stdout)
    shown = {entry["label"] for entry in row["top"]}
    assert shown == {" ".join(HOSTILE.splitlines()), "", "last"}
    assert list(row["outputs"]) == [graph.outputs[1]]
    assert run_py(folder, "--verify").returncode == 0


@pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("board", ["raspberry_pi_4", "coral_usb"])
def test_emitted_python_is_clean_and_formatted(tmp_path: Path, board: str) -> None:
    for name in NETWORKS:
        folder = written(tmp_path / name, made(name, board))
        (tmp_path / f"{name}.py").write_bytes((folder / "run.py").read_bytes())
    files = sorted(tmp_path.glob("*.py"))
    assert len(files) == len(NETWORKS)
    options = ["--no-cache", "--isolated", "--line-length", "100", "--target-version", "py39"]
    rules = ["--select", "E,F,W,I,B,UP,SIM,C4,RET,RUF,PTH,N"]
    for command in (["check", *rules], ["format", "--check"]):
        done = subprocess.run(
            ["ruff", *command, *options, *files], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
