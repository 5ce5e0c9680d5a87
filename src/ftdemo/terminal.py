"""How every command prints for people."""

import os
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple


class Styled(NamedTuple):
    """Text in one of rich's styles."""

    text: str
    style: str


Cell = str | Styled


class Table:
    """A table without lines, which never cuts what is in it."""

    def __init__(self, *headings: str) -> None:
        self.headings = headings
        self.rows: list[Sequence[Cell]] = []

    def add_row(self, *cells: Cell) -> None:
        """Add a row, a cell for each heading."""
        self.rows.append(cells)


# A paragraph, one made of pieces, or a table.
Block = str | Sequence[Cell] | Table


def show(*blocks: Block) -> None:
    """Print blocks on stdout, an empty line between them.

    Colour only on a terminal, NO_COLOR and FORCE_COLOR honoured; elsewhere nothing is wrapped.
    """
    texts = [_plain(block) for block in blocks]
    simple = all(text.isascii() and text.replace("\n", "").isprintable() for text in texts)
    if _may_be_styled() or not simple:
        texts = list(_styled(blocks))
    for number, text in enumerate(texts):
        lines = [line.rstrip() for line in text.splitlines() or [""]]
        print("\n".join(["", *lines] if number else lines))


def _may_be_styled() -> bool:
    """Whether rich is needed: it may take stdout for a terminal, and takes long to import."""
    if "FORCE_COLOR" in os.environ or "TTY_COMPATIBLE" in os.environ:
        return True
    return sys.stdout is not None and sys.stdout.isatty()


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else cell.text


def _plain(block: Block) -> str:
    """Lay out a block as rich does where there is no terminal."""
    if isinstance(block, str):
        return block
    if not isinstance(block, Table):
        return "".join(map(_text, block))
    rows = [[_text(cell).split("\n") for cell in row] for row in (block.headings, *block.rows)]
    widths = [
        max(len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)
    ]
    return "\n".join(
        "  ".join(line.ljust(width) for line, width in zip(lines, widths, strict=True))
        for row in rows
        for lines in zip_longest(*row, fillvalue="")
    )


def _styled(blocks: Sequence[Block]) -> Iterator[str]:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    console = Console(highlight=False)
    if sys.stdout is None or not sys.stdout.isatty():
        console.width = 10_000
    for block in blocks:
        content: Text | RichTable
        if isinstance(block, Table):
            content = RichTable(box=None, pad_edge=False, header_style="bold")
            for heading in block.headings:
                content.add_column(heading, overflow="fold")
            for row in block.rows:
                content.add_row(*(Text.assemble(cell) for cell in row))
        else:
            content = Text.assemble(*([block] if isinstance(block, str) else block))
        with console.capture() as captured:
            wrapped = console.is_terminal or isinstance(block, Table)
            console.print(content, soft_wrap=not wrapped)
        yield captured.get()
