"""`edgekit build` end to end on a small real data set."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs edgekit[train]")

from edgekit.convert import tflite_reader
from edgekit.emulate import tflm
from edgekit.graph.execute import run

pytestmark = pytest.mark.slow

Bundle = tuple[Path, dict]


def test_the_report_has_what_scripts_rely_on(bundle: Bundle) -> None:
    folder, report = bundle
    assert report == json.loads((folder / "report.json").read_text())
    assert (
        report["model"].items()
        >= {
            "arch": "mobilenet_v1",
            "alpha": 0.25,
            "resolution": 32,
            "classes": 3,
        }.items()
    )
    assert {"float_top1", "int8_top1", "drop", "agreement", "sqnr_db"} <= report["accuracy"].keys()
    assert report["accuracy"]["split"] == "test"
    assert report["accuracy"]["images"] == 3 * 8  # a fifth of forty of each class
    assert report["tflite"]["bytes"] == (folder / "model_int8.tflite").stat().st_size
    # A C program has no interpreter whose records would lie beside the activations.
    assert report["memory"]["arena_bytes"] >= report["memory"]["activations_bytes"] > 0
    assert report["target"] == folder.name
    assert {"train", "calibrate", "verify"} <= report["seconds"].keys()


def test_the_model_has_no_stray_operator(bundle: Bundle) -> None:
    _, report = bundle
    ops = report["tflite"]["ops"]
    assert ops["CONV_2D"] >= 14 and ops["DEPTHWISE_CONV_2D"] == 13
    assert sum(ops.values()) <= 31
    assert not ops.keys() & {"PAD", "PADV2", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE"}


def test_the_manifest_lists_every_file(bundle: Bundle) -> None:
    folder, _ = bundle
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {entry["path"]: entry for entry in manifest["files"]}
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert present == listed.keys() | {"manifest.json", "report.json"}
    for path, entry in listed.items():
        content = (folder / path).read_bytes()
        assert entry["bytes"] == len(content)
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    calibration = manifest["provenance"]["calibration"]
    assert calibration["count"] == 10 and len(calibration["sha256"]) == 64


def test_the_readme_names_only_files_that_are_there(bundle: Bundle) -> None:
    folder, _ = bundle
    _, table = (folder / "README.md").read_text().split("## Files")
    named = re.findall(r"`([^`]+)`", "".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE)))
    assert {"model_int8.tflite", "golden/", "manifest.json", "report.json"} <= set(named)
    assert not [name for name in named if not (folder / name).exists()]


def test_golden_vectors_are_what_tflite_micro_says(bundle: Bundle) -> None:
    folder, report = bundle
    inputs = np.load(folder / "golden/input_0.npy")[:, 0]
    outputs = np.load(folder / "golden/output_0.npy")[:, 0]
    model = (folder / "model_int8.tflite").read_bytes()
    np.testing.assert_array_equal(tflm.run(model, [inputs])[0], outputs)
    np.testing.assert_array_equal(run(tflite_reader.read(model), [inputs])[0], outputs)
    assert report["verified"]["checked"] and report["verified"]["samples"] >= len(inputs)


def test_the_same_inputs_give_the_same_bytes(bundle: Bundle, build, tmp_path: Path) -> None:
    folder, _ = bundle
    again = tmp_path / folder.name
    assert build(folder.name, again, "--retrain").code == 0
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.name != "report.json":  # it holds the seconds
            assert path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path


def test_pruning_leaves_a_smaller_exact_network(build, tmp_path: Path) -> None:
    outcome = build("tflm", tmp_path / "pruned", "--prune", "0.4")
    assert outcome.code == 0, outcome.err
    report = json.loads(outcome.out)
    pruned = report["model"]["pruned"]
    assert pruned["params_after"] == report["model"]["params"] < 0.7 * pruned["params_before"]
    assert pruned["macs_after"] == report["model"]["macs"] < pruned["macs_before"]
    assert all(width["after"] % 8 == 0 for width in pruned["widths"])
    assert report["verified"]["checked"]
    assert sum(report["tflite"]["ops"].values()) <= 31


def test_logits_leaves_softmax_out(build, tmp_path: Path) -> None:
    outcome = build("tflm", tmp_path / "logits", "--logits")
    assert outcome.code == 0, outcome.err
    assert "SOFTMAX" not in json.loads(outcome.out)["tflite"]["ops"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        ({"target": "corral"}, 2, "Did you mean coral"),
        ({"target": "tflm", "arch": "mobilnet_v1"}, 2, "Did you mean mobilenet_v1"),
        ({"target": "tflm", "extra": ("--board", "arduino")}, 2, "arduino_nano_33_ble"),
        ({"target": "tflm", "extra": ("--board", "coral_usb")}, 2, "takes coral bundles"),
        ({"target": "tflm", "extra": ("--alpha", "-1")}, 2, "alpha"),
        ({"target": "tflm", "extra": ("--data", "nowhere")}, 3, "nowhere"),
        ({"target": "tflm", "extra": ("--weights", "nowhere.pth")}, 3, "nowhere.pth"),
        ({"target": "tflm", "extra": ("--calibration-images", "0")}, 2, "at least one"),
    ],
)
def test_mistakes_get_one_clear_error(build, tmp_path: Path, args, code, said) -> None:
    extra = args.pop("extra", ())
    target = args.pop("target")
    outcome = build(target, tmp_path / "bundle", *extra, **args)
    assert outcome.code == code, outcome.err
    assert said in outcome.err and "Traceback" not in outcome.err
    assert not any(tmp_path.iterdir()), "nothing is left behind"
