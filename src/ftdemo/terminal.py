"""How every command prints for people."""

import sys

from rich.console import Console, RenderableType
from rich.table import Table


def show(*blocks: RenderableType) -> None:
    """Print blocks on stdout, an empty line between them.

    Colour only on a terminal, NO_COLOR and FORCE_COLOR honoured; elsewhere nothing is wrapped.
    """
    console = Console(highlight=False)
    if sys.stdout is None or not sys.stdout.isatty():
        console.width = 10_000
    for number, block in enumerate(blocks):
        with console.capture() as captured:
            console.print(block, soft_wrap=isinstance(block, str) and not console.is_terminal)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        print("\n".join(["", *lines] if number else lines))


def table_of(*headings: str) -> Table:
    """Make an empty table without lines, which never cuts what is in it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
