"""Define rules: functions that yield findings, with examples of wrong and right code."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from ftdemo.lint.source import Source
from ftdemo.lint.tree import Node

Severity = Literal["error", "warning"]


class Found(NamedTuple):
    """A finding: the node, a message that says what is wrong, and help that says what to do.

    Without help or severity, those of the rule count.
    """

    node: Node
    message: str
    help: str = ""
    severity: Severity | None = None


class Rule(NamedTuple):
    """A rule, and the texts that `--explain` prints for it."""

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
    """Register a function as a rule: its name, with - for _; its docstring is the hazard.

    wrong: code in which the rule reports each line marked with "// !", and no other line.
    right: code in which it reports nothing. source: where the hazard is documented.
    help: what to do. ignore: when to suppress a finding.
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
