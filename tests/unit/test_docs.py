"""The documents hold together: no link leads nowhere, no option is named that does not exist."""

import re
from pathlib import Path

import pytest

from edgekit.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def commands(page: Path) -> list[str]:
    """Command lines of a page: in fenced blocks, or indented by four spaces."""
    text = page.read_text().replace("\\\n", " ")
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^ {4}(edgekit .*)$", text, re.MULTILINE)
    lines = "\n".join([*fenced, *indented]).splitlines()
    return [line for line in lines if line.startswith("edgekit ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_the_options_they_are_shown_with(page: Path) -> None:
    for line in commands(page):
        name, *rest = line.split(" #")[0].split()[1:]
        parameters = cli.get_command(None, name).params
        known = {
            option
            for parameter in parameters
            for option in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {word for word in rest if re.fullmatch(r"--?[a-z][a-z-]*", word)}
        assert used <= known | {"--help"}, f"{page.name}: {line}"
