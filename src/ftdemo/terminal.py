"""Printing for people, with rich; every command uses it."""

import sys

from rich.console import Console
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
