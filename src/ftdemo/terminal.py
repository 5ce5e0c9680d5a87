"""Printing for people, with rich; every command uses it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# Wider than any line: if stdout is not a terminal, nothing is wrapped or truncated.
_NO_END = 1_000_000


def table(*headings: str) -> Table:
    """Make a table without borders; add rows with add_row()."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def show(*blocks: str | Text | Table) -> None:
    """Print blocks to stdout, separated by empty lines.

    Output is coloured only on a terminal; rich honours NO_COLOR and FORCE_COLOR.
    """
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(
        width=None if is_terminal else _NO_END, highlight=False, markup=False, emoji=False
    )
    with console.capture() as captured:
        for number, block in enumerate(blocks):
            if number:
                console.print()
            console.print(block)
    for line in captured.get().splitlines():
        print(line.rstrip())


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int | None, str], None]]:
    """Show a bar on stderr if that is a terminal; yield a function of done, total and words."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    disable = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disable) as bar:
        task = bar.add_task("", total=None)

        def update(done: int, total: int | None, words: str) -> None:
            bar.update(task, completed=done, total=total, description=words)

        yield update
