"""The result of `ftdemo stress`; schema.json describes it."""

from typing import Any, Literal, TypedDict

from ftdemo.interpreter import Interpreter

Kind = Literal["not-atomic", "crash", "hang", "broken", "data-race"]
KINDS: tuple[Kind, ...] = ("crash", "hang", "broken", "data-race", "not-atomic")

FEW = 100  # with fewer meetings of a type, finding nothing means nothing


class Skipped(TypedDict):
    """An operation that was not driven, and why."""

    operation: str
    why: str


class Counts(TypedDict):
    """How much was driven of one type, or of the functions of a module, with one constructor.

    In a meeting, threads call at the same time, on a fresh object that they share.
    """

    type: str
    constructor: str
    operations: int
    pairs: int
    meetings: int


class TypeResult(Counts):
    """The counts, and the operations that were not driven."""

    skipped: list[Skipped]


class Finding(TypedDict):
    """A finding: seen is the number of meetings, out of all meetings of these operations, with it.

    operations has one entry per thread. For the kind not-atomic, outcome has the results, the state
    afterwards, and both for every order; for other kinds, it has the text of the error. allowed
    tells whether the settings allow it. again is a command that reproduces it.
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
    """The totals of a run."""

    types: int
    pairs: int
    meetings: int
    findings: int
    allowed: int
    skipped: int


class Result(TypedDict):
    """The output of `ftdemo stress --json`."""

    version: int
    interpreter: Interpreter
    types: list[TypeResult]
    findings: list[Finding]
    summary: Summary
