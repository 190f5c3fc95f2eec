"""`edgekit compare` on reports that differ in what they hold."""

import json
from pathlib import Path
from typing import Any

import pytest
from bundle_cases import invoke
from support.bundles import written
from support.deployments import deployment
from test_show_command import REPORTED

from edgekit.cli.compare import compare
from edgekit.emit.bundle import REPORT
from edgekit.errors import InputError, UsageError

LAYER = {"name": "stem", "op": "CONV_2D", "isolated_db": 40.0, "accumulated_db": 38.25}
STEP = {"rung": "ptq", "kept": True}


def bundle(folder: Path, **sections: Any) -> Path:
    path = written(folder, deployment("nucleo_f446re"))
    (path / REPORT).write_text(json.dumps({**REPORTED, **sections}))
    return path


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return bundle(tmp_path / "plain")


@pytest.fixture
def repaired(tmp_path: Path) -> Path:
    steps = [STEP, {"rung": "equalization", "kept": False}, {**STEP, "rung": "bias-correction"}]
    return bundle(tmp_path / "repaired", fidelity_db=43.5, repair=steps, layers=[LAYER])


def test_json_has_a_row_for_each(plain: Path, repaired: Path) -> None:
    first, second = json.loads(invoke(compare, plain, repaired, "--json").stdout)
    assert (first["name"], first["sqnr_db"], first["rungs"]) == ("plain", 40.0, None)
    assert second["rungs"] == ["ptq", "bias-correction"]
    assert second["layers"] == {"stem": 38.25}
    assert second["tflite_bytes"] == 5


def test_a_person_sees_columns(plain: Path, repaired: Path) -> None:
    text = invoke(compare, plain, repaired).stdout
    assert "plain" in text and "repaired" in text
    assert "bias-correction" in text and "38.2" in text


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [bundle(tmp_path / parent / "net") for parent in ("a", "b")]
    first, second = json.loads(invoke(compare, *paths, "--json").stdout)
    assert first["name"] != second["name"]


def test_one_bundle_is_too_few(plain: Path) -> None:
    with pytest.raises(UsageError, match="two bundles"):
        invoke(compare, plain)


def test_what_is_no_bundle_and_what_is_damaged(plain: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        invoke(compare, plain, tmp_path / "nowhere")
    (plain / REPORT).write_text('{"model": 3}')
    with pytest.raises(InputError, match="damaged"):
        invoke(compare, plain, plain)
