import pytest
from rich.table import Table

from edgekit.cli.console import print_result


@pytest.mark.parametrize("label", ["[/red]", "[bold]", ":smile:", "[", "\\[x]"])
def test_names_are_never_markup(label: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("class")
    table.add_row(label)
    print_result(table)
    assert label in capsys.readouterr().out
