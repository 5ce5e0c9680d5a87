"""Reports for people: each demo as it ends, and a table of all demos."""

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from ftdemo.demo import OUTCOMES, Demo, Result
from ftdemo.demos import load
from ftdemo.interpreter import heading
from ftdemo.terminal import show, table

STYLES = {"seen": "green", "not seen": "bold red", "skip": "dim"}


def print_list(listed: Mapping[str, Any]) -> None:
    """Print every demo with its claim."""
    claims = table("demo", "claim")
    for demo in listed["demos"]:
        claims.add_row(demo["name"], demo["claim"])
    show(claims)


def print_demo(demo: Demo, *, explain: bool) -> None:
    """Print the outcome of one demo; with explain, also the explanation of its claim."""
    text = inspect.cleandoc(load(demo["name"]).__doc__ or "") if explain else demo["claim"]
    show(
        Text.assemble((demo["name"], "bold"), f": {text}"),
        Text.assemble(_outcome(demo), f": {demo['detail']}"),
    )
    print()


def _outcome(demo: Demo) -> Text:
    return Text(demo["outcome"], STYLES[demo["outcome"]])


def print_table(result: Result) -> None:
    """Print a table of the outcomes."""
    outcomes = table("demo", "outcome", "claim")
    for demo in result["demos"]:
        outcomes.add_row(demo["name"], _outcome(demo), demo["claim"])
    summary = result["summary"]
    counts = ", ".join(f"{summary[o]} {o}" for o in OUTCOMES if summary[o])
    show(heading(result["interpreter"]), outcomes, counts)


@contextmanager
def progress(name: str) -> Iterator[None]:
    """Show on stderr which demo runs, if stderr is a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(name):
        yield
