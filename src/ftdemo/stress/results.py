"""What `ftdemo stress` finds out; schema.json describes it."""

from typing import Any, Literal, TypedDict

from ftdemo.interpreter import Interpreter

Kind = Literal["not-atomic", "crash", "hang", "broken", "data-race"]
KINDS: tuple[Kind, ...] = ("crash", "hang", "broken", "data-race", "not-atomic")

FEW = 100  # meetings of a type: with fewer, silence means nothing


class Skipped(TypedDict):
    """What was not driven, and why."""

    operation: str
    why: str


class Counts(TypedDict):
    """One type, or the functions of a module, made in one way, and how much of it was driven.

    A meeting is one fresh object that threads shared.
    """

    type: str
    constructor: str
    operations: int
    pairs: int
    meetings: int


class TypeResult(Counts):
    """The same, with what was not driven."""

    skipped: list[Skipped]


class Finding(TypedDict):
    """What went wrong. allowed: the settings say that it is documented.

    operations are those of each thread. outcome has, for what is not atomic, the results, the state
    after, and both as any order has them; for the others, the text of the error. Of so many
    meetings, it was seen in so many. again is a command that shows it again.
    """

    type: str
    kind: Kind
    operations: list[str]
    outcome: dict[str, Any]
    allowed: bool
    seen: int
    meetings: int
    threads: int
    seed: int
    declares_ready: bool
    again: str


class Summary(TypedDict):
    """How much there is of everything."""

    types: int
    pairs: int
    meetings: int
    findings: int
    allowed: int
    skipped: int


class Result(TypedDict):
    """What `ftdemo stress --json` prints."""

    version: int
    interpreter: Interpreter
    types: list[TypeResult]
    findings: list[Finding]
    summary: Summary
