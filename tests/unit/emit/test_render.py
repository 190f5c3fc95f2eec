from pathlib import Path

import jinja2
import pytest

from edgekit.emit import render as module
from edgekit.emit.render import render, to_json


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "templates_dir", lambda: tmp_path)
    module._environment.cache_clear()
    yield tmp_path
    module._environment.cache_clear()


def test_values_and_filters(templates: Path) -> None:
    (templates / "t").write_text("{{ name | c_string }} {{ data | c_bytes }}{{ name | python }}\n")
    assert render("t", {"name": 'a"b', "data": b"\x07"}) == b'"a\\"b"   0x07,\n"a\\"b"\n'


def test_missing_values_are_an_error(templates: Path) -> None:
    (templates / "t").write_text("{{ absent }}")
    with pytest.raises(jinja2.UndefinedError, match="absent"):
        render("t", {})


def test_json_is_sorted_and_ends_in_a_newline() -> None:
    assert to_json({"b": [1.5], "a": None}) == b'{\n  "a": null,\n  "b": [\n    1.5\n  ]\n}\n'


def test_json_refuses_what_no_reader_understands() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json(float("nan"))
