"""What a person sees while waiting: progress bars on stderr, results on stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from edgekit.progress import Progress as Report
from edgekit.progress import silent


def print_result(result: RenderableType) -> None:
    """Print a result on stdout; names and labels in it are text, never rich's markup."""
    Console(markup=False, emoji=False).print(result, highlight=False)


@contextmanager
def progress_bars(quiet: bool) -> Iterator[Report]:
    """One bar for each thing reported, as it comes; nothing if quiet.

    Where stderr is no terminal (a log file), each stage leaves one line when it is done.
    """
    if quiet:
        yield silent
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _line_when_done(console)
        return
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bars:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield report


def _line_when_done(console: Console) -> Report:
    def report(what: str, done: int, total: int) -> None:
        if done >= total:
            console.print(f"{what}: {done}/{total}", highlight=False)

    return report
