"""What a rule is: a function that yields what it finds, with examples of wrong and right code."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from ftdemo.lint.source import Source
from ftdemo.lint.tree import Node

Severity = Literal["error", "warning"]


class Found(NamedTuple):
    """What a rule found: the node, what is wrong there, and what to do, if it differs.

    message says what happens in this place, help what to write in its stead. severity is None
    where it is the rule's.
    """

    node: Node
    message: str
    help: str = ""
    severity: Severity | None = None


class Rule(NamedTuple):
    """A rule and what `--explain` prints of it."""

    name: str
    severity: Severity
    group: str  # default, optional or conventions
    hazard: str
    source: str
    wrong: str
    right: str
    ignore: str
    help: str
    check: Callable[[Source], Iterator[Found]]


RULES: dict[str, Rule] = {}
Check = Callable[[Source], Iterator[Found]]


def rule(
    severity: Severity,
    *,
    wrong: str,
    right: str,
    source: str,
    help: str,  # noqa: A002
    ignore: str = "",
    group: str = "default",
) -> Callable[[Check], Check]:
    """Make a rule of a function: its name, with - for _, and its docstring, which is the hazard.

    wrong: code in which the rule finds something on each line marked with "// !", and nothing else.
    right: code in which it finds nothing. source: where it is written that this is a hazard.
    help: what to do. ignore: when to suppress it.
    """

    def register(check: Check) -> Check:
        name = check.__name__.replace("_", "-")
        hazard = " ".join((check.__doc__ or "").split())
        RULES[name] = Rule(
            name,
            severity,
            group,
            hazard,
            source,
            wrong.strip("\n"),
            right.strip("\n"),
            ignore,
            help,
            check,
        )
        return check

    return register
