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


def shown(bundle: Path, report: object) -> str:
    (bundle / REPORT).write_text(report if isinstance(report, str) else json.dumps(report))
    outcome = CliRunner().invoke(show, [str(bundle)])
    if outcome.exception:
        raise outcome.exception
    return outcome.output


def test_a_report(bundle: Path) -> None:
    text = shown(bundle, REPORTED)
    assert "nucleo_f446re" in text and "[/red] is no markup" in text


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
