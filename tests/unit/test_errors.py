"""Exit codes are told apart, documented, and what the system says becomes one of them."""

import re
from pathlib import Path

import pytest

from edgekit import errors
from edgekit.errors import EdgekitError, UsageError, unknown_name

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
KINDS = [k for k in vars(errors).values() if isinstance(k, type) and issubclass(k, EdgekitError)]


def test_each_kind_has_its_own_code() -> None:
    assert sorted(kind.exit_code for kind in KINDS) == list(range(1, 10))


def test_the_document_lists_each_kind_with_its_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    assert {name: int(code) for code, name in rows} == {k.__name__: k.exit_code for k in KINDS}


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("corall", "Did you mean coral?"),
        ("TFLM", "Did you mean tflm?"),
        ("xyz", "Known: coral, tflm."),
    ],
)
def test_unknown_names_are_answered(typed: str, hint: str) -> None:
    error = unknown_name("target", typed, ["tflm", "coral"])
    assert isinstance(error, UsageError) and error.hint == hint and typed in str(error)


def test_an_error_is_one_sentence_and_a_hint() -> None:
    error = EdgekitError("It broke.", hint="Mend it.")
    assert (str(error), error.hint, error.exit_code) == ("It broke.", "Mend it.", 1)
