"""What people read: each demo as it ends, and a table of all."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ftdemo.check.report import heading
from ftdemo.demos import claim, load
from ftdemo.demos.api import OUTCOMES, Demo, Result
from ftdemo.terminal import Styled, Table, show

STYLES = {"seen": "green", "not seen": "bold red", "skip": "dim"}


def print_list(names: Sequence[str]) -> None:
    """Print every demo with its claim."""
    table = Table("demo", "claim")
    for name in names:
        table.add_row(name, claim(name))
    show(table)


def print_demo(demo: Demo, *, explain: bool) -> None:
    """Print what came of one demo, and why it is so where that is asked for."""
    text = inspect.cleandoc(load(demo["name"]).__doc__ or "") if explain else demo["claim"]
    outcome = Styled(demo["outcome"], STYLES[demo["outcome"]])
    show([Styled(demo["name"], "bold"), f": {text}"], [outcome, f": {demo['detail']}"])
    print()


def print_table(result: Result) -> None:
    """Print the outcomes."""
    table = Table("demo", "outcome", "claim")
    for demo in result["demos"]:
        outcome = Styled(demo["outcome"], STYLES[demo["outcome"]])
        table.add_row(demo["name"], outcome, demo["claim"])
    summary = result["summary"]
    counts = ", ".join(f"{summary[o]} {o}" for o in OUTCOMES if summary[o])
    show(heading(result["interpreter"]), table, counts)


@contextmanager
def progress(name: str) -> Iterator[None]:
    """Say on stderr which demo runs, if that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(name):
        yield
