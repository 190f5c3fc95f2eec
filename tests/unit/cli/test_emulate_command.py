"""`edgekit emulate` on small bundles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundle_cases import BOARDS, bundle, invoke, report, save_pictures
from support.deployments import LABELS, bare_deployment, deployment
from support.graphs import GraphBuilder, convnet

from edgekit import data
from edgekit.backends.base import Golden
from edgekit.cli.emulate import emulate
from edgekit.convert.tflite_writer import write
from edgekit.errors import InputError, UnsupportedError, UsageError, VerificationError
from edgekit.graph import ops
from edgekit.graph.ir import DType, Graph, Quantization
from edgekit.preprocessing import Preprocessing


def rnd_pixels(count: int, size: int = 24) -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (count, size, size, 3), np.uint8)


def test_a_tflm_bundle_is_equal_to_the_bit_in_the_predicted_arena(tmp_path: Path) -> None:
    path, made = bundle(tmp_path / "b", "tflm")
    found = report(emulate, path)
    assert found["faults"] == [] and found["engine"]["exact"]
    assert found["board_arena_bytes"] == made.arena.arena_bytes
    assert found["arena"]["enough"] and found["arena"]["predicted_bytes"] > made.arena.arena_bytes
    assert found["inputs"] == "golden vectors"
    assert found["agreement"]["same_outputs"] == found["agreement"]["samples"] == 4
    assert len(found["layers"]) == len(found["engine"]["layers"]) == len(made.graph.nodes)
    said = invoke(emulate, path, "--quiet").stdout
    assert "it ran in" in said and "equal to the bit in all 10 layers" in said


@pytest.mark.parametrize("target", ["rpi", "coral"])
def test_linux_bundles_run_in_litert(tmp_path: Path, target: str) -> None:
    path, _ = bundle(tmp_path / "b", target)
    found = report(emulate, path)
    assert found["engine"]["engine"] == "litert-xnnpack" and found["arena"] is None
    assert found["golden"]["differing"] == 0
    said = invoke(emulate, path, "--quiet").stdout
    assert ("nothing here emulates the Edge TPU" in said.replace("\n", " ")) == (target == "coral")


def test_the_same_run_says_the_same(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "rpi")
    first, second = (invoke(emulate, path, "--quiet").stdout for _ in range(2))
    assert first == second


def test_a_model_that_is_not_its_golden_vectors_fails(tmp_path: Path) -> None:
    made = deployment(BOARDS["rpi"])
    outputs = made.golden.outputs[0].copy()
    outputs[2, 0, 1] ^= 1
    wrong = replace(made, golden=Golden(made.golden.inputs, (outputs,)))
    path, _ = bundle(tmp_path / "b", "rpi", wrong)
    with pytest.raises(VerificationError, match="1 of 20 values of the golden outputs") as caught:
        invoke(emulate, path)
    assert caught.value.exit_code == 9


@pytest.mark.slow
def test_pictures_in_class_folders_give_an_accuracy(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm")
    folders = (f"{label.replace('/', '-')}/{i}.png" for i, label in enumerate(LABELS[:2]))
    save_pictures(tmp_path / "p", rnd_pixels(3), *folders, "elsewhere/x.png")
    found = report(emulate, path, "--images", tmp_path / "p")
    counts = found["agreement"]
    assert (counts["samples"], counts["labelled"], counts["same_outputs"]) == (3, 2, 3)
    assert counts["engine_hits"] == counts["reference_hits"] <= 2
    assert "accuracy" in invoke(emulate, path, "--images", tmp_path / "p").stdout
    limited = report(emulate, path, "--images", tmp_path / "p", "--limit", "2")
    assert limited["agreement"]["samples"] == 2


def test_a_split_of_the_embedded_set(tmp_path: Path) -> None:
    dataset = data.load()
    b = GraphBuilder("ten")
    x = b.input("image", (1, 8, 8, 1), b.int8(1 / 128, 0))
    graph = b.build(b.fully_connected(b.flatten(x), 10))
    contract = Preprocessing(8, 8, color="L", mean=(128.0,), std=(128.0,)).quantized(1 / 128, 0)
    made = bare_deployment("rpi_pico", graph, preprocessing=contract, labels=dataset.labels)
    path, _ = bundle(tmp_path / "b", "tflm", made, data=dict(dataset.provenance))
    found = report(emulate, path, "--split", "test", "--limit", "50")
    assert found["agreement"]["samples"] == found["agreement"]["labelled"] == 50
    assert found["agreement"]["same_outputs"] == 50
    assert found["layer_samples"] == 16 and "test split" in found["inputs"]


def test_a_data_set_that_is_not_the_bundle_s(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm", data={"source": "folder", "name": "photos"})
    with pytest.raises(UsageError, match="'photos'") as caught:
        invoke(emulate, path, "--split", "test")
    assert "--data" in caught.value.hint
    with pytest.raises(UsageError, match="not the bundle's"):
        invoke(emulate, path, "--data", "embedded")
    nameless, _ = bundle(tmp_path / "c", "tflm")
    with pytest.raises(UsageError, match="names no data set"):
        invoke(emulate, nameless, "--split", "validation")
    with pytest.raises(UsageError, match="exclude each other"):
        invoke(emulate, path, "--split", "test", "--samples", "x.npy")


def arrays_bundle(folder: Path, graph: Graph, target: str = "tflm") -> Path:
    return bundle(folder, target, bare_deployment(BOARDS[target], graph))[0]


def two_inputs() -> Graph:
    b = GraphBuilder("two")
    q = b.int8(0.05, 3)
    x = b.add(ops.Quantize(), b.input("a", (1, 6)), quantization=q, dtype=DType.INT8)
    y = b.add(ops.Add(), x, b.input("b", (1, 6), q), quantization=q)
    return b.build(b.add(ops.Dequantize(), y, dtype=DType.FLOAT32), y)


@pytest.mark.slow
def test_arrays_for_several_inputs(tmp_path: Path) -> None:
    path = arrays_bundle(tmp_path / "b", two_inputs())
    assert report(emulate, path)["agreement"]["same_outputs"] == 4
    np.save(tmp_path / "a.npy", np.linspace(-3, 3, 30).reshape(5, 6).astype(np.float32))
    np.save(tmp_path / "b.npy", np.arange(30).reshape(5, 1, 6).astype(np.int8))
    files = ("--samples", tmp_path / "a.npy", "--samples", tmp_path / "b.npy")
    found = report(emulate, path, *files)
    assert found["agreement"]["samples"] == found["agreement"]["same_outputs"] == 5
    assert found["agreement"]["same_top1"] == 5
    with pytest.raises(UsageError, match="2 inputs, 1") as caught:
        invoke(emulate, path, *files[:2])
    assert "a, b" in caught.value.hint
    (tmp_path / "p").mkdir()
    save_pictures(tmp_path / "p", rnd_pixels(1), "x.png")
    with pytest.raises(UsageError, match="reads no pictures"):
        invoke(emulate, path, "--images", tmp_path / "p")


def test_a_model_without_tflm_kernels_is_unsupported(tmp_path: Path) -> None:
    """uint8: LiteRT runs it, TFLite Micro has no kernels for it."""
    b = GraphBuilder("legacy")
    q = Quantization.per_tensor(0.1, 128)
    x = b.input("x", (1, 4, 4, 1), q, DType.UINT8)
    y = b.add(ops.AveragePool2D((2, 2), (2, 2)), x)
    graph = b.build(y)
    assert report(emulate, arrays_bundle(tmp_path / "r", graph, "rpi"))["faults"] == []
    with pytest.raises(UnsupportedError, match="TFLite Micro refuses"):
        invoke(emulate, arrays_bundle(tmp_path / "t", graph))


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a bundle"):
        invoke(emulate, tmp_path)
    path, _ = bundle(tmp_path / "b", "tflm")
    model = path / "model_int8.tflite"
    data = bytearray(model.read_bytes())
    data[-20] ^= 1
    model.write_bytes(data)
    with pytest.raises(InputError, match="is not as edgekit wrote it"):
        invoke(emulate, path)


def test_a_target_without_an_emulator(tmp_path: Path) -> None:
    path, _ = bundle(tmp_path / "b", "tflm", target="toaster")
    with pytest.raises(UnsupportedError, match="toaster"):
        invoke(emulate, path)
    path, _ = bundle(tmp_path / "c", "tflm", target=None)
    with pytest.raises(InputError, match="does not say its target"):
        invoke(emulate, path)


def test_golden_vectors_of_other_shapes(tmp_path: Path) -> None:
    made = deployment(BOARDS["tflm"])
    flat = Golden(made.golden.inputs, (made.golden.outputs[0][:, 0],))
    path, _ = bundle(tmp_path / "b", "tflm", replace(made, golden=flat))
    with pytest.raises(InputError, match=r"golden vectors .* shapes"):
        invoke(emulate, path)


def test_a_file_changed_behind_the_manifest_is_located(tmp_path: Path) -> None:
    """Model and golden vectors from different weights: the arithmetic says so, not the chip."""
    made = deployment(BOARDS["tflm"])
    path, _ = bundle(tmp_path / "b", "tflm", replace(made, tflite=write(convnet(seed=1))))
    with pytest.raises(VerificationError, match="golden outputs"):
        invoke(emulate, path)
    assert json.loads((path / "manifest.json").read_text())["provenance"]["target"] == "tflm"
