"""`edgekit show` on bundles with reports that hold anything."""

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner
from fuzz import mutate_json
from support.bundles import written
from support.deployments import deployment

from edgekit.cli.show import show
from edgekit.emit.bundle import REPORT
from edgekit.errors import InputError

REPORTED = {
    "model": {"arch": "net", "alpha": None, "inputs": [[1, 16, 16, 3]], "params": 7, "macs": 9},
    "weights": {"source": "file", "file": "net.onnx"},
    "accuracy": None,
    "fidelity_db": 40.0,
    "tflite": {"bytes": 5, "ops": {"CONV_2D": 1}},
    "verified": {"checked": True, "samples": 3, "oracle": "tflite-micro"},
    "target": "tflm",
    "board": "nucleo_f446re",
    "memory": {"arena_bytes": 9, "activations_bytes": 5, "weights_bytes": 3},
    "seconds": {"train": 1.0},
    "warnings": ["[/red] is no markup"],
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("b") / "bundle", deployment("nucleo_f446re"))


def shown(bundle: Path, report: object, *options: str) -> str:
    (bundle / REPORT).write_text(report if isinstance(report, str) else json.dumps(report))
    outcome = CliRunner().invoke(show, [str(bundle), *options])
    if outcome.exception:
        raise outcome.exception
    return outcome.output


def test_a_report(bundle: Path) -> None:
    text = shown(bundle, REPORTED)
    assert "nucleo_f446re" in text and "[/red] is no markup" in text


LAYER = {
    "name": "[/red]stem",
    "op": "CONV_2D",
    "isolated_db": 41.5,
    "accumulated_db": None,
    "low": 0.0,
    "high": 6.0,
    "seen_low": 0.0,
    "seen_high": 7.5,
    "clipped": 0.25,
    "outliers": [[3, 12.0]],
}
DIAGNOSED = {**REPORTED, "layers": [LAYER], "suspects": ["CONV_2D 'stem' is suspect."]}
STEP = {"kept": True, "measured": True, "drop": 0.5, "agreement": 98.0, "sqnr_db": 30.25}


def test_layers(bundle: Path) -> None:
    text = shown(bundle, DIAGNOSED, "--layers")
    assert "41.5" in text and "exact" in text and "(x12)" in text and "suspect" in text
    assert json.loads(shown(bundle, DIAGNOSED, "--layers", "--json"))["layers"] == [LAYER]


def test_layers_that_nobody_looked_at(bundle: Path) -> None:
    with pytest.raises(InputError, match="without a look"):
        shown(bundle, REPORTED, "--layers")


def test_repairs(bundle: Path) -> None:
    nothing = {"rung": "equalization", "kept": False, "measured": False, "seconds": 0.1}
    steps = [{**STEP, "rung": "ptq", "seconds": 1.5}, nothing]
    on = {"split": "validation", "images": 420}
    text = shown(bundle, {**REPORTED, "repair": steps, "repair_on": on})
    assert "+0.50 points" in text and "420 samples" in text and "nothing to do" in text


@pytest.mark.parametrize("content", ["", "[]", "null", "{", "3", "[" * 5000, "{}", '{"model": 3}'])
def test_damaged_reports(bundle: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"report\.json"):
        shown(bundle, content)


def test_mutated_reports(bundle: Path) -> None:
    outcomes = set()
    for number in range(500):
        try:
            shown(bundle, mutate_json.mutate(REPORTED, random.Random(number)))
            outcomes.add("shown")
        except InputError:
            outcomes.add("refused")
    assert outcomes == {"shown", "refused"}


def test_what_is_no_bundle(bundle: Path, tmp_path: Path) -> None:
    (bundle / REPORT).unlink(missing_ok=True)
    for path in (bundle, tmp_path, tmp_path / "nowhere", bundle / "manifest.json"):
        outcome = CliRunner().invoke(show, [str(path)])
        assert isinstance(outcome.exception, InputError)
