"""`edgekit scale`: its tables, its JSON, and what it refuses."""

import json

import pytest
from click.testing import CliRunner

from edgekit.cli.scale import scale
from edgekit.errors import EdgekitError, UsageError


def run(*options: str) -> str:
    """What it prints; `main` itself would leave signals ignored for the tests that follow."""
    done = CliRunner().invoke(scale, options)
    if isinstance(done.exception, EdgekitError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_the_scaled_network_stands_beside_the_published_ones() -> None:
    out = run("--phi", "2")
    assert "1.2 1.1 1.15 -> 1.920" in out and "12,233,232" in out
    assert [f"efficientnet_b{n}" in out for n in range(8)] == [True] * 8
    assert "66,347,960" in out


def test_json_holds_the_same_rows() -> None:
    tables = json.loads(run("--phi", "-1", "--gamma", "1.3", "--json"))
    (scaled,) = tables["scaled"]
    assert "note" not in tables
    assert scaled["coefficients"] == {"alpha": 1.2, "beta": 1.1, "gamma": 1.3}
    assert (scaled["phi"], scaled["resolution"]) == (-1, 176)
    assert len(tables["published"]) == 8
    assert "phi" not in tables["published"][0]


def test_the_search_says_that_it_measures_no_accuracy() -> None:
    tables = json.loads(run("--search", "--top", "3", "--json"))
    assert len(tables["scaled"]) == 3
    assert "not measured" in tables["note"]
    assert all(abs(row["growth"] - 2) < 0.01 for row in tables["scaled"])
    assert "not measured" in run("--search")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--phi", "11"), "phi is 11"),
        (("--beta", "0"), "beta is 0"),
        (("--search", "--phi", "1"), "--phi contradicts --search"),
        (("--top", "3"), "--top is for --search"),
        (("--search", "--step", "0"), "step of the search"),
    ],
)
def test_what_cannot_be_is_refused(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*options)
