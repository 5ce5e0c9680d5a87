"""What people read: each demo as it ends, and a table of all."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ftdemo.check.report import heading
from ftdemo.demos import claim, load
from ftdemo.demos.api import OUTCOMES, Demo, Result
from ftdemo.terminal import show, table_of

STYLES = {"seen": "green", "not seen": "bold red", "skip": "dim"}


def print_list(names: Sequence[str]) -> None:
    """Print every demo with its claim."""
    table = table_of("demo", "claim")
    for name in names:
        table.add_row(name, Text(claim(name)))
    show(table)


def print_demo(demo: Demo, *, explain: bool) -> None:
    """Print what came of one demo, and why it is so where that is asked for."""
    text = inspect.cleandoc(load(demo["name"]).__doc__ or "") if explain else demo["claim"]
    outcome = Text.assemble((demo["outcome"], STYLES[demo["outcome"]]), f": {demo['detail']}")
    show(Text.assemble((demo["name"], "bold"), f": {text}"), outcome)
    print()


def print_table(result: Result) -> None:
    """Print the outcomes."""
    table = table_of("demo", "outcome", "claim")
    for demo in result["demos"]:
        style = Text(demo["outcome"], STYLES[demo["outcome"]])
        table.add_row(demo["name"], style, Text(demo["claim"]))
    summary = result["summary"]
    counts = ", ".join(f"{summary[o]} {o}" for o in OUTCOMES if summary[o])
    show(heading(result["interpreter"]), table, counts)


@contextmanager
def progress(name: str) -> Iterator[None]:
    """Say on stderr which demo runs, if that is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(name):
        yield
