"""`edgekit scale`: its tables, its JSON, and what it refuses."""

import json

import pytest

from edgekit.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["scale", *options])
    captured = capsys.readouterr()
    return int(left.value.code or 0), captured.out, captured.err


def test_the_scaled_network_stands_beside_the_published_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, out, _ = run(capsys, "--phi", "2")
    assert code == 0
    assert "1.2 1.1 1.15 -> 1.920" in out and "12,233,232" in out
    assert [f"efficientnet_b{n}" in out for n in range(8)] == [True] * 8
    assert "66,347,960" in out


def test_json_holds_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--phi", "-1", "--gamma", "1.3", "--json")
    tables = json.loads(out)
    (scaled,) = tables["scaled"]
    assert code == 0 and "note" not in tables
    assert scaled["coefficients"] == {"alpha": 1.2, "beta": 1.1, "gamma": 1.3}
    assert (scaled["phi"], scaled["resolution"]) == (-1, 176)
    assert len(tables["published"]) == 8
    assert "phi" not in tables["published"][0]


def test_the_search_says_that_it_measures_no_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--search", "--top", "3", "--json")
    tables = json.loads(out)
    assert code == 0 and len(tables["scaled"]) == 3
    assert "not measured" in tables["note"]
    assert all(abs(row["growth"] - 2) < 0.01 for row in tables["scaled"])
    assert "not measured" in run(capsys, "--search")[1]


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
def test_what_cannot_be_is_refused(
    options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *options)
    assert (code, out) == (2, "")
    assert message in err
